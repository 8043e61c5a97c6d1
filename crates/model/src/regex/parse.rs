//! The parser: the grammar of Go's `regexp/syntax` with the flags `Perl | DotNL`.

use std::collections::HashMap;
use std::sync::Arc;

use regex_syntax::hir::Look;

use super::limits::{PATTERN_BYTES_MAX, REPEAT_MAX};
use super::runes::{RuneSet, fold_char, shared};
use super::tree::{Node, Term};
use super::{Error, Fault};

/// A pattern that follows the grammar and is within Go's limits.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) node: Node,
    /// The approximate size of the automaton of `node`, in bytes.
    pub(super) bytes: u64,
    /// The number of ranges in all its classes.
    pub(super) class_ranges: usize,
    /// The names of the groups. The first element belongs to group 1. A name may occur twice.
    pub(super) groups: Vec<Option<String>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Flags {
    pub(super) fold: bool,
    pub(super) multi_line: bool,
    pub(super) dot_newline: bool,
    pub(super) ungreedy: bool,
}

/// A group that is open, or the whole pattern.
#[derive(Debug)]
pub(super) struct Frame {
    /// The flags before the group, which hold again after it.
    pub(super) flags: Flags,
    pub(super) capture: Option<u32>,
    pub(super) branches: Vec<Term>,
    pub(super) terms: Vec<Term>,
}

impl Frame {
    pub(super) fn new(flags: Flags, capture: Option<u32>) -> Self {
        Self {
            flags,
            capture,
            branches: Vec::new(),
            terms: Vec::new(),
        }
    }
}

pub(super) struct Parser<'p> {
    pub(super) pattern: &'p str,
    /// The byte offset of the next character.
    pub(super) at: usize,
    pub(super) flags: Flags,
    /// The whole pattern.
    root: Frame,
    /// The open groups. The innermost is the last.
    pub(super) open: Vec<Frame>,
    pub(super) groups: Vec<Option<String>>,
    /// Whether the pattern ended inside `\Q`.
    quote_open: bool,
    any: Arc<RuneSet>,
    any_but_newline: Arc<RuneSet>,
    /// The named classes that were looked up before, by text and folding.
    pub(super) classes: HashMap<(&'p str, bool), Arc<RuneSet>>,
    /// See [`super::limits::CLASS_RANGES_MAX`].
    pub(super) class_ranges: usize,
}

pub(super) fn parse(pattern: &str) -> Result<Parsed, Error> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(Error::Limit {
            limit: "pattern_bytes_max",
            max: PATTERN_BYTES_MAX,
        });
    }

    let flags = Flags {
        fold: false,
        multi_line: false,
        dot_newline: true,
        ungreedy: false,
    };

    let parser = Parser {
        pattern,
        at: 0,
        flags,
        root: Frame::new(flags, None),
        open: Vec::new(),
        groups: Vec::new(),
        quote_open: false,
        any: Arc::new(RuneSet::any()),
        any_but_newline: Arc::new(shared(&[(10, 10)]).negate()),
        classes: HashMap::new(),
        class_ranges: 0,
    };

    parser.run()
}

impl<'p> Parser<'p> {
    fn run(mut self) -> Result<Parsed, Error> {
        let mut last_repeat = None;

        while let Some(next) = self.peek() {
            let start = self.at;
            last_repeat = if self.operator(next, start, last_repeat)? {
                Some(start)
            } else {
                None
            };
        }

        if !self.open.is_empty() {
            return Err(Error::syntax(Fault::MissingParen, self.pattern));
        }

        if self.quote_open {
            // The pattern is valid by itself, but Prometheus compiles it inside a group, whose end
            // would be quoted too.
            return Err(Error::syntax(
                Fault::MissingParen,
                &format!("^(?s:{})$", self.pattern),
            ));
        }

        let Frame {
            branches, terms, ..
        } = self.root;
        let term = finish(branches, terms, self.pattern)?.checked_whole()?;
        let bytes = term.cost.bytes;
        let class_ranges = self.class_ranges;

        Ok(Parsed {
            node: term.node,
            bytes,
            class_ranges,
            groups: self.groups,
        })
    }

    /// Parses one item. Returns whether it was a repetition.
    fn operator(
        &mut self,
        next: char,
        start: usize,
        last_repeat: Option<usize>,
    ) -> Result<bool, Error> {
        match next {
            '(' => self.open_group()?,
            ')' => self.close_group()?,
            '|' => self.end_branch()?,
            '^' if self.flags.multi_line => self.push_look(1, Look::StartLF)?,
            '^' => self.push_look(1, Look::Start)?,
            '$' if self.flags.multi_line => self.push_look(1, Look::EndLF)?,
            '$' => self.push_look(1, Look::End)?,
            '.' => self.dot()?,
            '[' => self.bracket()?,
            '\\' => self.escape()?,
            '*' | '+' | '?' => {
                self.at += 1;

                let range = match next {
                    '*' => (0, None),
                    '+' => (1, None),
                    _ => (0, Some(1)),
                };

                self.repeat(range, None, start, last_repeat)?;
                return Ok(true);
            }
            '{' => {
                if let Some(range) = self.counts() {
                    self.counted(range, start, last_repeat)?;
                    return Ok(true);
                }

                self.at += 1;
                self.push_rune(u32::from('{'))?;
            }
            single => {
                self.at += single.len_utf8();
                self.push_rune(u32::from(single))?;
            }
        }

        Ok(false)
    }

    fn end_branch(&mut self) -> Result<(), Error> {
        self.at += 1;

        let pattern = self.pattern;
        let frame = self.frame();
        let branch = Term::concat(std::mem::take(&mut frame.terms)).checked(pattern)?;

        frame.branches.push(branch);
        Ok(())
    }

    fn dot(&mut self) -> Result<(), Error> {
        self.at += 1;

        let class = if self.flags.dot_newline {
            &self.any
        } else {
            &self.any_but_newline
        };

        self.push_class(Arc::clone(class))
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    pub(super) fn rest(&self) -> &'p str {
        &self.pattern[self.at..]
    }

    /// The error for the text between `start` and here.
    pub(super) fn fault<T>(&self, fault: Fault, start: usize) -> Result<T, Error> {
        Err(Error::syntax(fault, &self.pattern[start..self.at]))
    }

    fn frame(&mut self) -> &mut Frame {
        self.open.last_mut().unwrap_or(&mut self.root)
    }

    pub(super) fn push(&mut self, term: Term) -> Result<(), Error> {
        let term = term.checked(self.pattern)?;
        self.frame().terms.push(term);
        Ok(())
    }

    fn push_look(&mut self, length: usize, look: Look) -> Result<(), Error> {
        self.at += length;
        self.push(Term::look(look))
    }

    pub(super) fn push_class(&mut self, set: Arc<RuneSet>) -> Result<(), Error> {
        self.push(Term::class(set))
    }

    /// Adds one literal code point, folded if the flag is set. A surrogate becomes a class that no
    /// text matches.
    pub(super) fn push_rune(&mut self, rune: u32) -> Result<(), Error> {
        let Some(single) = char::from_u32(rune) else {
            return self.push_class(shared(&[(rune, rune)]));
        };

        if self.flags.fold
            && let Some(set) = fold_char(single)
        {
            return self.push_class(Arc::new(set));
        }

        let Some(run) = self.frame().terms.last_mut() else {
            return self.push(Term::char(single));
        };

        match run.push_char(single) {
            Ok(()) => Ok(()),
            Err(single) => self.push(Term::char(single)),
        }
    }

    fn escape(&mut self) -> Result<(), Error> {
        match self.rest().chars().nth(1) {
            Some('A') => self.push_look(2, Look::Start),
            Some('z') => self.push_look(2, Look::End),
            Some('b') => self.push_look(2, Look::WordAscii),
            Some('B') => self.push_look(2, Look::WordAsciiNegate),
            Some('C') => Err(Error::syntax(Fault::InvalidEscape, r"\C")),
            Some('Q') => self.quoted(),
            _ => match self.named_class()? {
                Some(set) => self.push_class(set),
                None => {
                    let rune = self.escaped_rune()?;
                    self.push_rune(rune)
                }
            },
        }
    }

    /// Parses `\Q..\E`. Without `\E` it goes to the end of the pattern.
    fn quoted(&mut self) -> Result<(), Error> {
        self.at += 2;

        let rest = self.rest();
        let length = rest.find(r"\E");

        for single in rest[..length.unwrap_or(rest.len())].chars() {
            self.push_rune(u32::from(single))?;
        }

        self.quote_open = length.is_none();
        self.at += length.map_or(rest.len(), |length| length + 2);
        Ok(())
    }

    /// Parses `{min}`, `{min,}` or `{min,max}`. Anything else is not a repetition, and nothing is
    /// read. A number that is too large for `u32` becomes `u32::MAX`.
    fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let (min, rest) = number(self.rest().strip_prefix('{')?)?;
        let (max, rest) = match rest.strip_prefix(',') {
            None => (Some(min), rest),
            Some(rest) if rest.starts_with('}') => (None, rest),
            Some(rest) => number(rest).map(|(max, rest)| (Some(max), rest))?,
        };

        let rest = rest.strip_prefix('}')?;
        self.at = self.pattern.len() - rest.len();
        Some((min, max))
    }

    fn counted(
        &mut self,
        range: (u32, Option<u32>),
        start: usize,
        last: Option<usize>,
    ) -> Result<(), Error> {
        let (min, max) = range;
        let most = max.unwrap_or(min);

        if u64::from(min.max(most)) > REPEAT_MAX || most < min {
            return self.fault(Fault::InvalidRepeatSize, start);
        }

        self.repeat(range, Some(u64::from(most.max(1))), start, last)
    }

    /// Repeats the last operand. `copies` is the factor of a counted repetition.
    fn repeat(
        &mut self,
        range: (u32, Option<u32>),
        copies: Option<u64>,
        start: usize,
        last: Option<usize>,
    ) -> Result<(), Error> {
        let lazy = self.peek() == Some('?');
        self.at += usize::from(lazy);

        if let Some(last) = last {
            return self.fault(Fault::InvalidRepeatOp, last);
        }

        let greedy = lazy == self.flags.ungreedy;
        let Some(operand) = self.pop_operand() else {
            return self.fault(Fault::MissingRepeatArgument, start);
        };

        let term =
            Term::repeat(operand, range, greedy, copies.unwrap_or(1)).checked(self.pattern)?;

        if copies.is_some_and(|copies| copies >= 2) && term.cost.copies > REPEAT_MAX {
            return self.fault(Fault::InvalidRepeatSize, start);
        }

        self.push(term)
    }

    fn pop_operand(&mut self) -> Option<Term> {
        let terms = &mut self.frame().terms;
        match terms.last_mut()?.pop_char() {
            Some(single) => Some(Term::char(single)),
            None => terms.pop(),
        }
    }
}

pub(super) fn finish(
    mut branches: Vec<Term>,
    terms: Vec<Term>,
    pattern: &str,
) -> Result<Term, Error> {
    branches.push(Term::concat(terms).checked(pattern)?);
    Term::alternate(branches).checked(pattern)
}

/// Parses decimal digits without a leading zero. Returns the number and the text after it.
fn number(text: &str) -> Option<(u32, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(length);

    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }

    Some((digits.parse().unwrap_or(u32::MAX), rest))
}
