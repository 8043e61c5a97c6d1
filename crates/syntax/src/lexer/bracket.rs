//! Durations in brackets.

use super::{Lexer, Mode, Outcome, is_alpha, is_space};
use crate::quoted::quote_char;
use crate::token::TokenKind;

impl Lexer<'_> {
    pub(super) fn word_in_bracket(&mut self, first: char) -> Outcome {
        if first == ':' {
            if self.colon_seen {
                return self.fail("unexpected colon ':'");
            }

            self.emit(TokenKind::Colon);
            self.colon_seen = true;
            return Ok(());
        }

        match self.duration_word() {
            Some(kind) => {
                self.emit(kind);
                Ok(())
            }
            None => self.fail(format!(
                "unexpected character: {}, expected ':'",
                quote_char(first)
            )),
        }
    }

    /// Reads the rest of a word after its first letter. Returns its token if the word has a meaning
    /// in durations.
    fn duration_word(&mut self) -> Option<TokenKind> {
        self.accept_run(is_alpha);
        TokenKind::of_word(self.written()).filter(|kind| {
            matches!(
                kind,
                TokenKind::Step | TokenKind::Range | TokenKind::MinOf | TokenKind::MaxOf
            )
        })
    }

    /// Reads the next token between `[` and the first number.
    pub(super) fn duration(&mut self) -> Outcome {
        self.accept_run(is_space);
        self.ignore();

        let Some(c) = self.next() else {
            return self.fail("unexpected end of input in duration expression");
        };

        let kind = match c {
            ']' => {
                self.close_bracket();
                return Ok(());
            }
            ':' => return self.colon_in_duration(),
            '(' => {
                self.open_paren();
                return Ok(());
            }
            ')' => return self.close_paren(),
            '+' => TokenKind::Add,
            '-' => TokenKind::Sub,
            '*' => TokenKind::Mul,
            '/' => TokenKind::Div,
            '%' => TokenKind::Mod,
            '^' => TokenKind::Pow,
            ',' => TokenKind::Comma,
            c if c.is_ascii_digit()
                || (c == '.' && self.peek().is_some_and(|c| c.is_ascii_digit())) =>
            {
                self.at = self.start;
                self.duration_seen = true;
                self.mode = Mode::Statement;
                return self.number_or_duration();
            }
            c => match is_alpha(c).then(|| self.duration_word()).flatten() {
                Some(kind) => {
                    self.duration_seen = true;
                    kind
                }
                None => {
                    return self.fail(format!(
                        "unexpected character in duration expression: {}",
                        quote_char(c)
                    ));
                }
            },
        };

        self.emit(kind);
        Ok(())
    }

    fn colon_in_duration(&mut self) -> Outcome {
        if !self.duration_seen {
            self.ignore();
            return self.fail("unexpected colon before duration in duration expression");
        }

        if self.colon_seen {
            self.ignore();
            return self.fail("unexpected repeated colon in duration expression");
        }

        self.emit(TokenKind::Colon);
        self.colon_seen = true;
        Ok(())
    }
}
