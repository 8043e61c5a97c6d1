//! Splits text into tokens.
//!
//! The lexer depends on the context: inside braces, words are names, and inside brackets, only
//! durations are expected. The texts and the positions of its errors are upstream's.

mod bracket;
mod literal;

use crate::position::PosRange;
use crate::quoted::quote_char;
use crate::token::{Token, TokenKind};

/// The tokens of a text. The last one is `EndOfInput`, or `Error` with the reason in `error`.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) tokens: Vec<Token>,
    pub(crate) error: Option<LexError>,
}

/// Why the rest of the text could not be read. It is reported only if the parser comes to this
/// place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LexError {
    /// The position that the error names, in bytes: the start of the faulty token, or the place after
    /// it where Prometheus names that one.
    pub(crate) start: usize,
    pub(crate) message: String,
}

/// Splits `text` into tokens. Comments and white space are dropped.
pub(crate) fn lex(text: &str) -> Tokens {
    let mut lexer = Lexer::new(text);
    let outcome = lexer.run();
    let mut tokens = lexer.tokens;
    let error = outcome.err();

    if let Some(error) = &error {
        tokens.push(Token {
            kind: TokenKind::Error,
            pos: PosRange::new(error.start, text.len()),
        });
    }

    Tokens { tokens, error }
}

/// How the next characters are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Statement,
    Braces,
    /// Right after `[` and until the first number, only durations are expected.
    Duration,
}

struct Lexer<'a> {
    text: &'a str,
    /// The start of the token that is being read.
    start: usize,
    at: usize,
    tokens: Vec<Token>,
    mode: Mode,
    parens_open: usize,
    bracket_open: bool,
    /// Whether a colon was seen since the bracket was opened.
    colon_seen: bool,
    /// Whether a duration was seen since the bracket was opened.
    duration_seen: bool,
}

type Outcome<T = ()> = Result<T, LexError>;

impl<'a> Lexer<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            start: 0,
            at: 0,
            tokens: Vec::new(),
            mode: Mode::Statement,
            parens_open: 0,
            bracket_open: false,
            colon_seen: false,
            duration_seen: false,
        }
    }

    fn run(&mut self) -> Outcome {
        while self
            .tokens
            .last()
            .is_none_or(|token| token.kind != TokenKind::EndOfInput)
        {
            match self.mode {
                Mode::Statement => self.statement()?,
                Mode::Braces => self.braces()?,
                Mode::Duration => self.duration()?,
            }
        }

        Ok(())
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn accept(&mut self, belongs: impl Fn(char) -> bool) -> bool {
        match self.peek() {
            Some(c) if belongs(c) => {
                self.at += c.len_utf8();
                true
            }
            _ => false,
        }
    }

    fn accept_run(&mut self, belongs: impl Fn(char) -> bool) {
        while self.accept(&belongs) {}
    }

    fn written(&self) -> &'a str {
        &self.text[self.start..self.at]
    }

    fn emit(&mut self, kind: TokenKind) {
        self.tokens.push(Token {
            kind,
            pos: PosRange::new(self.start, self.at),
        });

        self.start = self.at;
    }

    fn ignore(&mut self) {
        self.start = self.at;
    }

    fn fail<T>(&self, message: impl Into<String>) -> Outcome<T> {
        Err(LexError {
            start: self.start,
            message: message.into(),
        })
    }

    /// Skips white space and comments before a token.
    fn skip_blanks(&mut self) {
        loop {
            if self.accept(|c| c == '#') {
                self.accept_run(|c| c != '\n' && c != '\r');
            } else if !self.accept(is_space) {
                return self.ignore();
            }
        }
    }

    fn statement(&mut self) -> Outcome {
        self.skip_blanks();

        let Some(c) = self.next() else {
            return self.end_of_input();
        };

        let kind = match c {
            ',' => TokenKind::Comma,
            '*' => TokenKind::Mul,
            '/' => TokenKind::Div,
            '%' => TokenKind::Mod,
            '+' => TokenKind::Add,
            '-' => TokenKind::Sub,
            '^' => TokenKind::Pow,
            '@' => TokenKind::At,
            '=' => self.after_equals()?,
            '!' => self.after_exclamation()?,
            '<' if self.accept(|c| c == '=') => TokenKind::LessOrEqual,
            '<' if self.accept(|c| c == '/') => TokenKind::TrimUpper,
            '<' => TokenKind::Less,
            '>' if self.accept(|c| c == '=') => TokenKind::GreaterOrEqual,
            '>' if self.accept(|c| c == '/') => TokenKind::TrimLower,
            '>' => TokenKind::Greater,
            '(' | ')' | '[' | ']' | '{' => return self.bracket(c),
            '"' | '\'' | '`' => return self.string(c),
            c if c.is_ascii_digit()
                || (c == '.' && self.peek().is_some_and(|c| c.is_ascii_digit())) =>
            {
                self.at = self.start;
                return self.number_or_duration();
            }
            c if is_alpha(c) || c == ':' => return self.word(c),
            c => return self.fail(format!("unexpected character: {}", quote_char(c))),
        };

        self.emit(kind);
        Ok(())
    }

    fn end_of_input(&mut self) -> Outcome {
        if self.parens_open > 0 {
            return self.fail("unclosed left parenthesis");
        }

        if self.bracket_open {
            return self.fail("unclosed left bracket");
        }

        self.emit(TokenKind::EndOfInput);
        Ok(())
    }

    fn after_equals(&mut self) -> Outcome<TokenKind> {
        match self.peek() {
            Some('=') => {
                self.next();
                Ok(TokenKind::Equal)
            }
            Some('~') => self.fail("unexpected character after '=': '~'"),
            _ => Ok(TokenKind::Assign),
        }
    }

    fn after_exclamation(&mut self) -> Outcome<TokenKind> {
        match self.next() {
            Some('=') => Ok(TokenKind::NotEqual),
            other => self.fail(format!(
                "unexpected character after '!': {}",
                quote_next(other)
            )),
        }
    }

    fn bracket(&mut self, c: char) -> Outcome {
        match c {
            '(' => self.open_paren(),
            ')' => self.close_paren()?,
            '{' => {
                self.emit(TokenKind::LeftBrace);
                self.mode = Mode::Braces;
            }
            '[' if self.bracket_open => return self.fail("unexpected left bracket '['"),
            '[' => {
                self.emit(TokenKind::LeftBracket);
                self.bracket_open = true;
                self.colon_seen = false;
                self.duration_seen = false;
                self.mode = Mode::Duration;
            }
            _ if !self.bracket_open => return self.fail("unexpected right bracket ']'"),
            _ => self.close_bracket(),
        }

        Ok(())
    }

    fn open_paren(&mut self) {
        self.emit(TokenKind::LeftParen);
        self.parens_open += 1;
    }

    fn close_paren(&mut self) -> Outcome {
        if self.parens_open == 0 {
            // The position of this error is after the parenthesis.
            self.ignore();
            return self.fail("unexpected right parenthesis ')'");
        }

        self.emit(TokenKind::RightParen);
        self.parens_open -= 1;
        Ok(())
    }

    fn close_bracket(&mut self) {
        self.emit(TokenKind::RightBracket);
        self.bracket_open = false;
        self.mode = Mode::Statement;
    }

    /// Reads a name or a keyword. Brackets have no names; there it reads a colon or a word of
    /// durations.
    fn word(&mut self, first: char) -> Outcome {
        if self.bracket_open {
            return self.word_in_bracket(first);
        }

        self.accept_run(|c| is_alphanumeric(c) || c == ':');

        let word = self.written();
        let kind = match TokenKind::of_word(word) {
            // Fill modifiers were added late to the language. Without a parenthesis, these words
            // are still metric names.
            Some(TokenKind::Fill | TokenKind::FillLeft | TokenKind::FillRight)
                if !self.paren_follows() =>
            {
                TokenKind::Identifier
            }
            Some(kind) => kind,
            None if word.contains(':') => TokenKind::MetricIdentifier,
            None => TokenKind::Identifier,
        };

        self.emit(kind);
        Ok(())
    }

    fn paren_follows(&self) -> bool {
        self.text[self.at..]
            .trim_start_matches(is_space)
            .starts_with('(')
    }

    fn braces(&mut self) -> Outcome {
        self.skip_blanks();

        let Some(c) = self.next() else {
            return self.fail("unexpected end of input inside braces");
        };

        let kind = match c {
            ',' => TokenKind::Comma,
            '=' if self.accept(|c| c == '~') => TokenKind::RegexMatch,
            '=' => TokenKind::Assign,
            '!' => match self.next() {
                Some('~') => TokenKind::RegexNoMatch,
                Some('=') => TokenKind::NotEqual,
                other => {
                    return self.fail(format!(
                        "unexpected character after '!' inside braces: {}",
                        quote_next(other)
                    ));
                }
            },
            '{' => return self.fail("unexpected left brace '{'"),
            '}' => {
                self.mode = Mode::Statement;
                TokenKind::RightBrace
            }
            '"' | '\'' | '`' => return self.string(c),
            c if is_alpha(c) => {
                self.accept_run(is_alphanumeric);
                TokenKind::Identifier
            }
            c => {
                return self.fail(format!(
                    "unexpected character inside braces: {}",
                    quote_char(c)
                ));
            }
        };

        self.emit(kind);
        Ok(())
    }
}

/// The quoted character at which reading failed. At the end of the text there is none; upstream
/// shows U+FFFD for it.
fn quote_next(c: Option<char>) -> String {
    c.map_or_else(|| "'\u{fffd}'".to_owned(), quote_char)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_alphanumeric(c: char) -> bool {
    is_alpha(c) || c.is_ascii_digit()
}

#[cfg(test)]
mod tests;
