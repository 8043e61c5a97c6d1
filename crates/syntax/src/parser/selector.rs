//! Vector selectors.

use super::{Failure, Parsed, Parser};
use crate::ast::{LabelMatcher, MatchOp, OffsetSpec, VectorSelector};
use crate::matcher;
use crate::position::PosRange;
use crate::token::TokenKind;

const CONTEXT: &str = "label matching";

fn match_op(kind: TokenKind) -> Option<MatchOp> {
    match kind {
        TokenKind::Assign => Some(MatchOp::Equal),
        TokenKind::NotEqual => Some(MatchOp::NotEqual),
        TokenKind::RegexMatch => Some(MatchOp::Regex),
        TokenKind::RegexNoMatch => Some(MatchOp::NotRegex),
        _ => None,
    }
}

impl Parser<'_> {
    /// Parses a metric name, matchers in braces, or both.
    pub(super) fn vector_selector(&mut self) -> Parsed<VectorSelector> {
        let first = self.peek()?;
        let mut pos = first.pos;
        let mut name = None;

        if first.kind.is_metric_name() {
            self.advance()?;
            name = Some(self.written(first).to_owned());
        } else if first.kind != TokenKind::LeftBrace {
            return Err(Failure::Unexpected);
        }

        let mut matchers = Vec::new();
        if self.take(TokenKind::LeftBrace)?.is_some() {
            let close = self.matchers(&mut matchers)?;
            pos = pos.to(close);
        }

        if let Some(name) = &name {
            matchers.push(matcher::of_name(name.clone()));
        }

        Ok(VectorSelector {
            name,
            matchers,
            offset: OffsetSpec::NONE,
            at: None,
            anchored: false,
            smoothed: false,
            pos,
        })
    }

    /// Parses matchers up to the closing brace. Returns the position of the brace.
    fn matchers(&mut self, matchers: &mut Vec<LabelMatcher>) -> Parsed<PosRange> {
        loop {
            if let Some(close) = self.take(TokenKind::RightBrace)? {
                return Ok(close.pos);
            }

            matchers.push(self.matcher()?);
            match self.peek()?.kind {
                TokenKind::Comma => {
                    self.advance()?;
                }
                TokenKind::RightBrace => {}
                _ => return self.fail_unexpected(CONTEXT, "\",\" or \"}\""),
            }
        }
    }

    fn matcher(&mut self) -> Parsed<LabelMatcher> {
        let first = self.peek()?;
        let name = match first.kind {
            TokenKind::Identifier => {
                self.advance()?;
                self.written(first).to_owned()
            }
            TokenKind::String => {
                self.advance()?;
                self.unquoted(first)?
            }
            _ => return self.fail_unexpected(CONTEXT, "identifier or \"}\""),
        };

        let Some(op) = match_op(self.peek()?.kind) else {
            if first.kind == TokenKind::String {
                return Ok(matcher::of_name(name));
            }

            return self.fail_unexpected(CONTEXT, "label matching operator");
        };

        self.advance()?;

        let Some(value_token) = self.take(TokenKind::String)? else {
            return self.fail_unexpected(CONTEXT, "string");
        };

        let value = self.unquoted(value_token)?;
        let matcher = LabelMatcher { name, op, value };

        matcher::validate(&matcher, self.regexes).map_err(|error| {
            let position = first.pos.to(value_token.pos);
            match error.limit() {
                Some(limit) => self.fail_limit(position, limit, error.to_string()),
                None => self.fail(position, error.to_string()),
            }
        })?;

        Ok(matcher)
    }
}
