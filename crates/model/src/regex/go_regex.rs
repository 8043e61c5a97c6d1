//! One pattern, read, and what is known of its matches before any.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use regex_automata::meta::Regex;
use regex_automata::{Anchored, Input};

use super::parse::Parsed;
use super::shape::Shape;
use super::{Error, automaton, expand, glob, parse, shape};

/// The most literals that [`GoRegex::literals`] lists.
const LITERALS_MAX: usize = 256;

/// A PromQL matcher pattern. Cheap to clone; equal when the text of the pattern is.
///
/// The syntax and the meaning are Go's `regexp` of `^(?s:PATTERN)$`, on text that is UTF-8. A
/// pattern must be balanced alone: `a)(b` is refused. What costs too much is refused while it is
/// parsed. Parsing builds no automaton: that is done once for all clones, by [`GoRegex::compile`]
/// or by the first match that needs it. Matching takes time linear in the subject.
#[derive(Clone)]
pub struct GoRegex {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pattern: String,
    shape: Shape,
    prefix: String,
    matches_empty: bool,
    /// The names of the groups, the first of index 1.
    groups: Vec<Option<String>>,
    /// See [`GoRegex::bytes`].
    bytes: usize,
    /// Of a size that is within the limits, so that building it cannot fail.
    pub(super) automaton: OnceLock<Regex>,
}

impl GoRegex {
    /// Parses. The error's text is Go's.
    pub fn parse(pattern: &str) -> Result<Self, Error> {
        let Parsed {
            node,
            bytes: automaton_bytes,
            class_ranges,
            groups,
        } = parse::parse(pattern)?;

        let (shape, shape_work) = Shape::of(&node);
        if shape == Shape::Automaton {
            automaton::check(automaton_bytes)?;
        } else if !groups.is_empty() {
            automaton::check_lazy(automaton_bytes)?;
        }

        let prefix = match &shape {
            Shape::Set(literals) => shared_prefix(literals.iter().map(String::as_str)),
            Shape::Globs(globs) => shared_prefix(globs.iter().map(glob::Glob::head)),
            Shape::Automaton => shape::prefix(&node).0,
        };

        let held = match shape {
            Shape::Automaton => automaton::held_bytes(automaton_bytes),
            _ if groups.is_empty() => 0,
            _ => usize::try_from(automaton_bytes).unwrap_or(usize::MAX),
        };

        let read = pattern.len() + class_ranges * size_of::<(u32, u32)>() + shape_work;
        let inner = Inner {
            pattern: pattern.to_owned(),
            shape,
            prefix,
            matches_empty: shape::matches_empty(&node),
            groups,
            bytes: read.saturating_add(held),
            automaton: OnceLock::new(),
        };

        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Builds the automaton, when matching needs one and it is not there yet. Whoever may not
    /// compute for long where it matches calls this before.
    pub fn compile(&self) {
        if self.needs_automaton() {
            self.inner.automaton();
        }
    }

    /// Whether matching runs an automaton.
    pub fn needs_automaton(&self) -> bool {
        self.inner.shape == Shape::Automaton
    }

    /// About what the pattern takes: the bytes that reading it goes through, and what its automaton
    /// comes to hold when it is used. Known before anything is built.
    pub fn bytes(&self) -> usize {
        self.inner.bytes
    }

    /// Whether the whole subject matches.
    pub fn is_match(&self, subject: &str) -> bool {
        self.inner.is_match(subject)
    }

    /// The pattern as it was given.
    pub fn pattern(&self) -> &str {
        &self.inner.pattern
    }

    /// Whether "" matches, and so a series without the label.
    pub fn matches_empty(&self) -> bool {
        self.inner.matches_empty
    }

    /// What every match begins with, never empty. Some prefixes are not found.
    pub fn literal_prefix(&self) -> Option<&str> {
        Some(self.inner.prefix.as_str()).filter(|prefix| !prefix.is_empty())
    }

    /// All that matches, sorted, when it is a set of at most 256 texts that the pattern spells out:
    /// literals, alternations also of parts, optional parts, small classes. Some sets are not
    /// found.
    pub fn literals(&self) -> Option<&[String]> {
        match &self.inner.shape {
            Shape::Set(literals) if literals.len() <= LITERALS_MAX => Some(literals),
            _ => None,
        }
    }

    /// The template with the groups of the match written in, by the rules of Go's `Regexp.Expand`:
    /// `$1`, `${1}`, `$name`, `${name}`, `$$`. `None` when the subject does not match.
    pub fn replace_all_expand(&self, subject: &str, template: &str) -> Option<String> {
        self.inner.replace(subject, template)
    }
}

impl Inner {
    fn is_match(&self, subject: &str) -> bool {
        match &self.shape {
            Shape::Set(literals) => literals
                .binary_search_by(|literal| literal.as_str().cmp(subject))
                .is_ok(),
            Shape::Globs(globs) => globs.iter().any(|glob| glob.is_match(subject)),
            Shape::Automaton => self.automaton().is_match(anchored(subject)),
        }
    }

    fn replace(&self, subject: &str, template: &str) -> Option<String> {
        if self.groups.is_empty() {
            let whole = |index| Some(subject).filter(|_| index == 0);
            return self
                .is_match(subject)
                .then(|| expand::expand(template, &[], whole));
        }

        let regex = self.automaton();
        let mut captures = regex.create_captures();
        regex.search_captures(&anchored(subject), &mut captures);

        captures.is_match().then(|| {
            let group = |index| {
                captures
                    .get_group(index)
                    .and_then(|span| subject.get(span.range()))
            };

            expand::expand(template, &self.groups, group)
        })
    }

    fn automaton(&self) -> &Regex {
        self.automaton.get_or_init(|| {
            let parsed = parse::parse(&self.pattern).expect("the pattern was parsed before");
            automaton::compile(&parsed.node, parsed.bytes)
        })
    }
}

pub(super) fn anchored(subject: &str) -> Input<'_> {
    Input::new(subject).anchored(Anchored::Yes)
}

fn shared_prefix<'t>(mut texts: impl Iterator<Item = &'t str>) -> String {
    let Some(mut prefix) = texts.next() else {
        return String::new();
    };
    for text in texts {
        prefix = &prefix[..shape::common_length(prefix, text)];
    }

    prefix.to_owned()
}

impl PartialEq for GoRegex {
    fn eq(&self, other: &Self) -> bool {
        self.pattern() == other.pattern()
    }
}

impl Eq for GoRegex {}

impl Hash for GoRegex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pattern().hash(state);
    }
}

impl fmt::Debug for GoRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GoRegex").field(&self.pattern()).finish()
    }
}
