//! A parsed pattern, and what is known about its matches in advance.

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

/// A PromQL matcher pattern. A clone is cheap. Two are equal when their texts are equal.
///
/// Syntax and meaning are those of Go's `regexp` for `^(?s:PATTERN)$`, on UTF-8 text. The pattern
/// must be balanced by itself: `a)(b` is refused. Parsing refuses patterns that would cost too
/// much. It builds no automaton: [`GoRegex::compile`], or the first match that needs the automaton,
/// does that once for all clones. Matching takes time linear in the subject.
#[derive(Clone)]
pub struct GoRegex {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pattern: String,
    shape: Shape,
    prefix: String,
    matches_empty: bool,
    /// The names of the groups. The first element belongs to group 1.
    groups: Vec<Option<String>>,
    /// See [`GoRegex::bytes`].
    bytes: usize,
    /// Its size was checked against the limits, so building it cannot fail.
    pub(super) automaton: OnceLock<Regex>,
}

impl GoRegex {
    /// Parses a pattern. The text of a syntax error is Go's.
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

        let automaton_memory = match shape {
            Shape::Automaton => automaton::held_bytes(automaton_bytes),
            _ if groups.is_empty() => 0,
            _ => usize::try_from(automaton_bytes).unwrap_or(usize::MAX),
        };

        let parsing = pattern.len() + class_ranges * size_of::<(u32, u32)>() + shape_work;
        let inner = Inner {
            pattern: pattern.to_owned(),
            shape,
            prefix,
            matches_empty: shape::matches_empty(&node),
            groups,
            bytes: parsing.saturating_add(automaton_memory),
            automaton: OnceLock::new(),
        };

        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Builds the automaton if matching needs one and it is not there yet. Call this first,
    /// somewhere else, if the place of the match may not compute for long.
    pub fn compile(&self) {
        if self.needs_automaton() {
            self.inner.automaton();
        }
    }

    /// Whether matching runs an automaton.
    pub fn needs_automaton(&self) -> bool {
        self.inner.shape == Shape::Automaton
    }

    /// The approximate cost of the pattern in bytes: the bytes that parsing handles, and the memory
    /// of the automaton when it is used. It is known before the automaton is built.
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

    /// Whether "" matches. Then a series without the label matches too.
    pub fn matches_empty(&self) -> bool {
        self.inner.matches_empty
    }

    /// A text that every match begins with; it is never empty. Some prefixes are not found.
    pub fn literal_prefix(&self) -> Option<&str> {
        Some(self.inner.prefix.as_str()).filter(|prefix| !prefix.is_empty())
    }

    /// The sorted list of all texts that match, if there are at most 256 of them and the pattern
    /// spells them out: by literals, alternations (also of parts), optional parts and small
    /// classes. Some sets are not found.
    pub fn literals(&self) -> Option<&[String]> {
        match &self.inner.shape {
            Shape::Set(literals) if literals.len() <= LITERALS_MAX => Some(literals),
            _ => None,
        }
    }

    /// Fills the groups of the match into the template, by the rules of Go's `Regexp.Expand`: `$1`,
    /// `${1}`, `$name`, `${name}`, `$$`. Returns `None` when the subject does not match.
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
