//! Strings, numbers and durations.

use super::{LexError, Lexer, Outcome, is_alphanumeric};
use crate::quoted::{code_point, quote};
use crate::token::TokenKind;

/// The form of a number that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scanned {
    Number,
    NotANumber,
}

impl Lexer<'_> {
    /// Reads a string after its first quote.
    pub(super) fn string(&mut self, delimiter: char) -> Outcome {
        let raw = delimiter == '`';

        loop {
            match self.next() {
                None if raw => return self.fail("unterminated raw string"),
                None => return self.fail("unterminated quoted string"),
                Some('\n') if !raw => return self.fail("unterminated quoted string"),
                // Upstream reports the replacement character as invalid UTF-8.
                Some('\u{fffd}') => return self.fail("invalid UTF-8 rune"),
                Some('\\') if !raw => self.escape(delimiter)?,
                Some(c) if c == delimiter => break,
                Some(_) => {}
            }
        }

        self.emit(TokenKind::String);
        Ok(())
    }

    /// Reads an escape after its backslash.
    fn escape(&mut self, delimiter: char) -> Outcome {
        let (first, count, base, value_max) = match self.next() {
            None => return self.fail("escape sequence not terminated"),
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\') => return Ok(()),
            Some(c) if c == delimiter => return Ok(()),
            Some(c @ '0'..='7') => (c.to_digit(8), 2, 8, 0xff),
            Some('x') => (None, 2, 16, 0xff),
            Some('u') => (None, 4, 16, 0x0010_ffff),
            Some('U') => (None, 8, 16, 0x0010_ffff),
            Some(c) => return self.fail(format!("unknown escape sequence {}", code_point(c))),
        };

        let mut value: u32 = first.unwrap_or(0);

        for _ in 0..count {
            let Some(c) = self.next() else {
                return self.fail("escape sequence not terminated");
            };
            let Some(digit) = c.to_digit(base) else {
                return self.fail(format!(
                    "illegal character {} in escape sequence",
                    code_point(c)
                ));
            };

            value = value.wrapping_mul(base).wrapping_add(digit);
        }

        let is_surrogate = (0xd800..0xe000).contains(&value);
        if value > value_max || is_surrogate {
            return self.fail("escape sequence is an invalid Unicode code point");
        }

        Ok(())
    }

    pub(super) fn number_or_duration(&mut self) -> Outcome {
        if self.scan_number() == Scanned::Number {
            self.emit(TokenKind::Number);
            return Ok(());
        }

        self.rest_of_duration()?;
        self.emit(TokenKind::Duration);
        Ok(())
    }

    /// Reads the characters of a number. They may still not be a valid number; the parser checks
    /// that.
    fn scan_number(&mut self) -> Scanned {
        let hexadecimal = self.accept(|c| c == '0') && self.accept(|c| matches!(c, 'x' | 'X'));
        if hexadecimal {
            self.accept(|c| c == '_');
        }

        let is_digit = |c: char| {
            if hexadecimal {
                c.is_ascii_hexdigit()
            } else {
                c.is_ascii_digit()
            }
        };

        let is_exponent = |c: char| matches!(c, 'e' | 'E');
        self.accept(|c| c == '.');
        self.accept(is_digit);

        let mut dot_seen = false;
        let mut exponent_seen = false;

        while let Some(c) = self.peek() {
            if c == '.' {
                self.next();
                if dot_seen || self.accept(|c| matches!(c, '_' | '.')) || hexadecimal {
                    return Scanned::NotANumber;
                }

                dot_seen = true;
            } else if is_exponent(c) {
                self.next();
                if exponent_seen {
                    return Scanned::NotANumber;
                }

                exponent_seen = true;
                self.accept(|c| matches!(c, '+' | '-'));

                if self.may_not_follow_separator() {
                    return Scanned::NotANumber;
                }
            } else if c == '_' {
                self.next();
                if self.may_not_follow_separator() {
                    return Scanned::NotANumber;
                }
            } else if is_digit(c) {
                self.accept_run(is_digit);
            } else {
                break;
            }
        }

        if self.at == self.start || self.peek().is_some_and(is_alphanumeric) {
            return Scanned::NotANumber;
        }

        Scanned::Number
    }

    /// After an exponent or an underscore there must be a digit.
    fn may_not_follow_separator(&mut self) -> bool {
        self.accept(|c| matches!(c, '.' | '_' | 'e' | 'E')) || self.peek().is_none()
    }

    /// Reads the units and the further numbers after the first number. The parser refuses units in
    /// the wrong order.
    fn rest_of_duration(&mut self) -> Outcome {
        if !self.accept(|c| "smhdwy".contains(c)) {
            return Err(self.bad_number());
        }

        self.accept(|c| c == 's');

        while self.accept(|c| c.is_ascii_digit()) {
            self.accept_run(|c| c.is_ascii_digit());

            // Years come first, so `y` is not allowed here.
            if !self.accept(|c| "smhdw".contains(c)) {
                return Err(self.bad_number());
            }

            self.accept(|c| c == 's');
        }

        if self.accept(is_alphanumeric) {
            return Err(self.bad_number());
        }

        Ok(())
    }

    fn bad_number(&self) -> LexError {
        LexError {
            start: self.start,
            message: format!("bad number or duration syntax: {}", quote(self.written())),
        }
    }
}
