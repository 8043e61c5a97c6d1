//! Builds a tree from tokens.
//!
//! `expression` reads operators and operands, `modifier` what follows an operand, `selector` vector
//! selectors, `call` function calls and aggregations, `duration` the durations in brackets.
//! `operator` maps tokens to operators.
//!
//! Recursion goes one level deeper only for an open bracket. Operators inside a bracket wait in a
//! list. So [`NESTING_DEPTH_MAX`] bounds the call stack, and [`TREE_HEIGHT_MAX`] bounds the height
//! of the result.
//!
//! Upstream's parser is generated. After a syntax error, the innermost rule on its stack that can
//! recover makes the message. Here a syntax error is returned as [`Failure::Unexpected`] until such
//! a rule catches it with [`Parser::within`].

mod call;
mod duration;
mod expression;
mod modifier;
mod operator;
mod selector;

use std::cell::Cell;

use duramen_model::Regexes;

use crate::ast::{Expr, LabelMatcher};
use crate::bounds::{
    Bounds, DURATION_HEIGHT_MAX, NESTING_DEPTH_MAX, TREE_HEIGHT_MAX, TREE_NODES_MAX,
};
use crate::check;
use crate::error::ParseError;
use crate::lexer::{LexError, lex};
use crate::position::PosRange;
use crate::token::{Token, TokenKind};

/// Why parsing stopped.
#[derive(Debug)]
enum Failure {
    /// The next token does not fit, and no rule has made a message yet.
    Unexpected,
    /// The error with message and position.
    Error(ParseError),
}

type Parsed<T> = Result<T, Failure>;

/// A tree and its height.
#[derive(Debug)]
struct Tall<T> {
    node: T,
    height: usize,
}

impl<T> Tall<T> {
    fn leaf(node: T) -> Self {
        Self { node, height: 1 }
    }
}

struct Parser<'a> {
    text: &'a str,
    regexes: &'a Regexes,
    tokens: Vec<Token>,
    error: Option<LexError>,
    /// The index of the next token.
    at: usize,
    /// The end of the last token that may close an expression.
    last_closing: usize,
    /// The number of nodes so far.
    nodes: Cell<usize>,
}

/// Parses and checks an expression.
pub(crate) fn parse(text: &str, bounds: &Bounds) -> Result<Expr, ParseError> {
    let mut expr = Parser::run(text, bounds, Parser::whole)?;
    check::check(text, &mut expr, &bounds.regexes)?;
    Ok(expr)
}

/// Parses a selector without modifiers.
pub(crate) fn parse_selector(text: &str, bounds: &Bounds) -> Result<Vec<LabelMatcher>, ParseError> {
    Parser::run(text, bounds, |parser| {
        let selector = parser.vector_selector()?;
        parser.expect(TokenKind::EndOfInput)?;
        Ok(selector.matchers)
    })
}

impl<'a> Parser<'a> {
    /// Splits the text into tokens, checks its limits and applies a rule.
    fn run<T>(
        text: &'a str,
        bounds: &'a Bounds,
        rule: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Result<T, ParseError> {
        let Bounds {
            text_bytes_max: max,
            regexes,
        } = bounds;

        if text.len() > *max {
            let message = format!(
                "query text is too long. text_bytes=`{}`, text_bytes_max=`{max}`",
                text.len()
            );

            return Err(ParseError::over(
                text,
                PosRange::default(),
                "text_bytes_max",
                message,
            ));
        }

        let lexed = lex(text);
        let mut parser = Self {
            text,
            regexes,
            tokens: lexed.tokens,
            error: lexed.error,
            at: 0,
            last_closing: 0,
            nodes: Cell::new(0),
        };

        parser.check_nesting()?;
        rule(&mut parser).map_err(|failure| match failure {
            Failure::Unexpected => parser.unexpected("", ""),
            Failure::Error(error) => error,
        })
    }
}

impl Parser<'_> {
    fn whole(&mut self) -> Parsed<Expr> {
        if self.peek()?.kind == TokenKind::EndOfInput {
            return Err(self.fail(PosRange::default(), "no expression found in input"));
        }

        let expr = self.expression()?.node;
        self.expect(TokenKind::EndOfInput)?;
        Ok(expr)
    }

    /// Refuses brackets that nest too deeply, before anything recurses into them.
    fn check_nesting(&self) -> Result<(), ParseError> {
        let mut depth = 0_usize;

        for token in &self.tokens {
            match token.kind {
                TokenKind::LeftParen | TokenKind::LeftBrace | TokenKind::LeftBracket => depth += 1,
                TokenKind::RightParen | TokenKind::RightBrace | TokenKind::RightBracket => {
                    depth = depth.saturating_sub(1);
                }
                _ => {}
            }

            if depth > NESTING_DEPTH_MAX {
                let message = format!(
                    "brackets are nested too deeply. nesting_depth_max=`{NESTING_DEPTH_MAX}`"
                );
                return Err(ParseError::over(
                    self.text,
                    token.pos,
                    "nesting_depth_max",
                    message,
                ));
            }
        }

        Ok(())
    }

    /// The next token.
    ///
    /// # Errors
    ///
    /// The error of the lexer, at the place where it stopped.
    fn peek(&self) -> Parsed<Token> {
        let end = PosRange::new(self.text.len(), self.text.len());
        let token = self.tokens.get(self.at).copied().unwrap_or(Token {
            kind: TokenKind::EndOfInput,
            pos: end,
        });

        match (&self.error, token.kind) {
            (Some(error), TokenKind::Error) => Err(self.fail(token.pos, error.message.clone())),
            _ => Ok(token),
        }
    }

    /// The kind of the token after the next one. Errors of the lexer are reported later.
    fn second_kind(&self) -> TokenKind {
        self.tokens
            .get(self.at + 1)
            .map_or(TokenKind::EndOfInput, |token| token.kind)
    }

    /// Takes the next token.
    fn advance(&mut self) -> Parsed<Token> {
        let token = self.peek()?;
        self.at += 1;

        if matches!(
            token.kind,
            TokenKind::RightBrace
                | TokenKind::RightParen
                | TokenKind::RightBracket
                | TokenKind::Duration
                | TokenKind::Number
        ) {
            self.last_closing = token.pos.end;
        }

        Ok(token)
    }

    /// Takes the next token if it is of this kind.
    fn take(&mut self, kind: TokenKind) -> Parsed<Option<Token>> {
        if self.peek()?.kind == kind {
            self.advance().map(Some)
        } else {
            Ok(None)
        }
    }

    fn expect(&mut self, kind: TokenKind) -> Parsed<Token> {
        self.take(kind)?.ok_or(Failure::Unexpected)
    }

    fn written(&self, token: Token) -> &str {
        self.text
            .get(token.pos.start..token.pos.end)
            .unwrap_or_default()
    }

    fn fail(&self, position: PosRange, message: impl Into<String>) -> Failure {
        Failure::Error(ParseError::new(self.text, position, message))
    }

    fn fail_limit(&self, position: PosRange, limit: &'static str, message: String) -> Failure {
        Failure::Error(ParseError::over(self.text, position, limit, message))
    }

    /// The error about the next token.
    fn unexpected(&self, context: &str, expected: &str) -> ParseError {
        let token = match self.peek() {
            Ok(token) => token,
            Err(Failure::Error(error)) => return error,
            Err(Failure::Unexpected) => Token {
                kind: TokenKind::EndOfInput,
                pos: PosRange::default(),
            },
        };

        let mut message = format!("unexpected {}", token.describe(self.text));
        if !context.is_empty() {
            message.push_str(" in ");
            message.push_str(context);
        }

        if !expected.is_empty() {
            message.push_str(", expected ");
            message.push_str(expected);
        }

        ParseError::new(self.text, token.pos, message)
    }

    fn fail_unexpected<T>(&self, context: &str, expected: &str) -> Parsed<T> {
        Err(Failure::Error(self.unexpected(context, expected)))
    }

    /// Runs a rule, and makes the message of a syntax error in it if no inner rule has made one.
    fn within<T>(
        &mut self,
        context: &str,
        expected: &str,
        rule: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        match rule(self) {
            Err(Failure::Unexpected) => self.fail_unexpected(context, expected),
            other => other,
        }
    }

    /// Counts one more node, within the limit.
    fn count_node(&self, position: PosRange) -> Parsed<()> {
        self.nodes.set(self.nodes.get() + 1);
        if self.nodes.get() > TREE_NODES_MAX {
            let message =
                format!("expression has too many parts. tree_nodes_max=`{TREE_NODES_MAX}`");
            return Err(self.fail_limit(position, "tree_nodes_max", message));
        }

        Ok(())
    }

    /// The height of a node with children of these heights, within the limit.
    fn height_over(&self, position: PosRange, children: &[usize]) -> Parsed<usize> {
        let height = 1 + children.iter().copied().max().unwrap_or(0);
        if height > TREE_HEIGHT_MAX {
            let message = format!(
                "expression has too many operators in a chain. tree_height_max=`{TREE_HEIGHT_MAX}`"
            );
            return Err(self.fail_limit(position, "tree_height_max", message));
        }

        Ok(height)
    }

    /// The same for a node of a duration.
    fn duration_height_over(&self, position: PosRange, children: &[usize]) -> Parsed<usize> {
        let height = 1 + children.iter().copied().max().unwrap_or(0);
        if height > DURATION_HEIGHT_MAX {
            let max = DURATION_HEIGHT_MAX;
            let message =
                format!("duration has too many operators in a chain. duration_height_max=`{max}`");
            return Err(self.fail_limit(position, "duration_height_max", message));
        }

        Ok(height)
    }
}

#[cfg(test)]
mod tests;
