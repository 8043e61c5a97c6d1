//! Escapes and classes in brackets.

use std::sync::Arc;

use super::limits::CLASS_RANGES_MAX;
use super::parse::Parser;
use super::runes::{RUNE_MAX, RuneSet};
use super::{Error, Fault, named};

/// The cost of looking up a named class, in ranges, beside the ranges of the class itself. The
/// look-up searches the tables of another crate.
const LOOK_UP_RANGES: usize = 500;

impl<'p> Parser<'p> {
    /// Counts the work on classes. A short pattern can cause much of it.
    fn charge(&mut self, ranges: usize) -> Result<(), Error> {
        self.class_ranges += ranges;
        if self.class_ranges > CLASS_RANGES_MAX {
            return Err(Error::Limit {
                limit: "class_ranges_max",
                max: CLASS_RANGES_MAX,
            });
        }

        Ok(())
    }

    /// Parses `[..]`. The parser stands at the bracket.
    pub(super) fn bracket(&mut self) -> Result<(), Error> {
        let start = self.at;
        self.at += 1;

        let negated = self.peek() == Some('^');
        self.at += usize::from(negated);

        // A named class is folded before it is negated. So named classes are kept apart from the
        // ranges that are folded at the end.
        let mut plain = Vec::new();
        let mut named = Vec::new();
        let first = self.at;

        while self.at == first || self.peek() != Some(']') {
            if let Some(set) = self.posix_class()? {
                named.extend_from_slice(set.ranges());
            } else if let Some(set) = self.named_class()? {
                named.extend_from_slice(set.ranges());
            } else {
                self.charge(1)?;
                plain.push(self.rune_range(start)?);
            }
        }

        self.at += 1;

        let mut set = RuneSet::new(plain);
        if self.flags.fold {
            self.charge(set.fold_cost())?;
            set = set.fold();
        }

        if !named.is_empty() {
            named.extend_from_slice(set.ranges());
            set = RuneSet::new(named);
        }

        self.push_class(Arc::new(if negated { set.negate() } else { set }))
    }

    /// Parses `a` or `a-z`. A `-` before the closing bracket stands for itself.
    fn rune_range(&mut self, bracket: usize) -> Result<(u32, u32), Error> {
        let start = self.at;
        let low = self.bracket_rune(bracket)?;
        let rest = self.rest();

        if !rest.starts_with('-') || rest.len() < 2 || rest.starts_with("-]") {
            return Ok((low, low));
        }

        self.at += 1;

        let high = self.bracket_rune(bracket)?;
        if high < low {
            return self.fault(Fault::InvalidCharRange, start);
        }

        Ok((low, high))
    }

    fn bracket_rune(&mut self, bracket: usize) -> Result<u32, Error> {
        match self.peek() {
            None => self.fault(Fault::MissingBracket, bracket),
            Some('\\') => self.escaped_rune(),
            Some(single) => {
                self.at += single.len_utf8();
                Ok(u32::from(single))
            }
        }
    }

    /// Parses `[:name:]` or `[:^name:]` inside brackets. Returns `None` and reads nothing when
    /// there is none.
    fn posix_class(&mut self) -> Result<Option<Arc<RuneSet>>, Error> {
        let rest = self.rest();
        let Some(inner) = rest.strip_prefix("[:") else {
            return Ok(None);
        };
        let Some(length) = inner.find(":]") else {
            return Ok(None);
        };

        let start = self.at;

        self.at += length + 4;

        let (name, negated) = without_caret(&inner[..length]);
        let Some(ranges) = named::posix(name) else {
            return self.fault(Fault::InvalidCharRange, start);
        };

        self.resolve(start, negated, || Some(RuneSet::new(ranges.to_vec())))
            .map(Some)
    }

    /// Parses `\d`, `\pL`, `\p{Greek}` and the like. Returns `None` and reads nothing when there is
    /// none.
    pub(super) fn named_class(&mut self) -> Result<Option<Arc<RuneSet>>, Error> {
        let rest = self.rest();
        let Some(letter) = rest.strip_prefix('\\').and_then(|rest| rest.chars().next()) else {
            return Ok(None);
        };

        let start = self.at;

        if let Some(ranges) = named::perl(letter) {
            self.at += 2;

            let set = || Some(RuneSet::new(ranges.to_vec()));
            return self
                .resolve(start, letter.is_ascii_uppercase(), set)
                .map(Some);
        }

        if !matches!(letter, 'p' | 'P') {
            return Ok(None);
        }

        let name = match rest[2..].chars().next() {
            Some('{') => {
                let Some(end) = rest.find('}') else {
                    return Err(Error::syntax(Fault::InvalidCharRange, rest));
                };

                self.at += end + 1;
                &rest[3..end]
            }
            single => {
                let length = single.map_or(0, char::len_utf8);
                self.at += 2 + length;
                &rest[2..2 + length]
            }
        };

        let (name, caret) = without_caret(name);
        self.resolve(start, caret != (letter == 'P'), || named::unicode(name))
            .map(Some)
    }

    /// The class whose text stands between `start` and here. It comes from the classes that were
    /// looked up before, or from `set`.
    fn resolve(
        &mut self,
        start: usize,
        negated: bool,
        set: impl FnOnce() -> Option<RuneSet>,
    ) -> Result<Arc<RuneSet>, Error> {
        let key = (&self.pattern[start..self.at], self.flags.fold);
        if let Some(known) = self.classes.get(&key) {
            let known = Arc::clone(known);
            self.charge(known.ranges().len())?;
            return Ok(known);
        }

        let Some(mut set) = set() else {
            return self.fault(Fault::InvalidCharRange, start);
        };

        self.charge(LOOK_UP_RANGES + set.ranges().len())?;

        if self.flags.fold {
            set = set.fold();
        }

        let set = Arc::new(if negated { set.negate() } else { set });
        self.classes.insert(key, Arc::clone(&set));
        Ok(set)
    }

    /// Parses one escaped code point. The parser stands at the backslash.
    pub(super) fn escaped_rune(&mut self) -> Result<u32, Error> {
        let start = self.at;
        self.at += 1;

        let Some(next) = self.bump() else {
            return Err(Error::syntax(Fault::TrailingBackslash, ""));
        };

        let octal_follows = self.octal_digit().is_some();

        let rune = match next {
            '0' => Some(self.octal(0)),
            '1'..='7' if octal_follows => Some(self.octal(u32::from(next) - u32::from('0'))),
            'x' => self.hex(),
            'a' => Some(0x07),
            'f' => Some(0x0C),
            'n' => Some(0x0A),
            'r' => Some(0x0D),
            't' => Some(0x09),
            'v' => Some(0x0B),
            other if other.is_ascii() && !other.is_ascii_alphanumeric() => Some(u32::from(other)),
            _ => None,
        };

        match rune {
            Some(rune) => Ok(rune),
            None => self.fault(Fault::InvalidEscape, start),
        }
    }

    fn octal_digit(&self) -> Option<u32> {
        self.peek()?.to_digit(8)
    }

    /// Parses up to two octal digits after the first one.
    fn octal(&mut self, first: u32) -> u32 {
        let mut rune = first;
        for _ in 0..2 {
            let Some(digit) = self.octal_digit() else {
                break;
            };

            self.at += 1;
            rune = rune * 8 + digit;
        }

        rune
    }

    /// Parses what follows `\x`: two digits, or any number of digits in braces. After a fault, the
    /// error shows the part that was read.
    fn hex(&mut self) -> Option<u32> {
        let first = self.bump()?;
        if first != '{' {
            let second = self.bump();
            return Some(first.to_digit(16)? * 16 + second?.to_digit(16)?);
        }

        let mut rune = None;

        loop {
            match self.bump()? {
                '}' => return rune,
                digit => {
                    let next: u32 = rune.unwrap_or(0) * 16 + digit.to_digit(16)?;
                    rune = Some(next).filter(|&next| next <= RUNE_MAX);
                    rune?;
                }
            }
        }
    }
}

fn without_caret(name: &str) -> (&str, bool) {
    match name.strip_prefix('^') {
        Some(name) => (name, true),
        None => (name, false),
    }
}
