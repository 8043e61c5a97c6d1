//! Function calls, aggregations and lists of labels.

use super::operator::starts_expression;
use super::{Failure, Parsed, Parser, Tall};
use crate::ast::{AggregateOp, Expr, Grouping};
use crate::functions::function;
use crate::position::PosRange;
use crate::quoted::quote;
use crate::token::{Token, TokenKind};

impl Parser<'_> {
    pub(super) fn call(&mut self) -> Parsed<Tall<Expr>> {
        let name = self.advance()?;
        let args = self.arguments()?;

        let Some(func) = function(self.written(name)) else {
            return Err(self.fail(
                name.pos,
                format!("unknown function with name {}", quote(self.written(name))),
            ));
        };

        let pos = PosRange::new(name.pos.start, self.last_closing);
        let heights: Vec<usize> = args.iter().map(|arg| arg.height).collect();
        let height = self.height_over(pos, &heights)?;
        let args = args.into_iter().map(|arg| arg.node).collect();

        Ok(Tall {
            node: Expr::Call { func, args, pos },
            height,
        })
    }

    /// Parses arguments with their parentheses.
    fn arguments(&mut self) -> Parsed<Vec<Tall<Expr>>> {
        self.expect(TokenKind::LeftParen)?;

        let mut args = Vec::new();
        if self.take(TokenKind::RightParen)?.is_some() {
            return Ok(args);
        }

        loop {
            args.push(self.expression()?);

            let Some(comma) = self.take(TokenKind::Comma)? else {
                break;
            };

            if !starts_expression(self.peek()?.kind) {
                return Err(self.fail(
                    comma.pos,
                    "trailing commas not allowed in function call args",
                ));
            }
        }

        self.expect(TokenKind::RightParen)?;
        Ok(args)
    }

    pub(super) fn aggregate(&mut self, op: AggregateOp) -> Parsed<Tall<Expr>> {
        let name = self.advance()?;
        let (args, grouping) = self.within("aggregation", "", |parser| {
            let before = parser.grouping()?;
            let args = parser.arguments()?;

            let grouping = if before.is_some() {
                before
            } else {
                parser.grouping()?
            };

            Ok((args, grouping))
        })?;

        let pos = PosRange::new(name.pos.start, self.last_closing);
        self.aggregate_of(op, grouping, args, pos)
    }

    fn aggregate_of(
        &self,
        op: AggregateOp,
        grouping: Option<Grouping>,
        args: Vec<Tall<Expr>>,
        pos: PosRange,
    ) -> Parsed<Tall<Expr>> {
        if args.is_empty() {
            return Err(self.fail(pos, "no arguments for aggregate expression provided"));
        }

        let wanted = if op.takes_param() { 2 } else { 1 };
        let count = args.len();
        let mut args = args.into_iter();
        let param = if op.takes_param() { args.next() } else { None };

        let (Some(expr), true) = (args.next(), count == wanted) else {
            let message = format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, got {count}"
            );
            return Err(self.fail(pos, message));
        };

        let param_height = param.as_ref().map_or(0, |param| param.height);
        let height = self.height_over(pos, &[expr.height, param_height])?;

        let node = Expr::Aggregate {
            op,
            grouping,
            param: param.map(|param| Box::new(param.node)),
            expr: Box::new(expr.node),
            pos,
        };

        Ok(Tall { node, height })
    }

    fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        if self.take(TokenKind::By)?.is_some() {
            return Ok(Some(Grouping::By(self.label_list()?)));
        }

        if self.take(TokenKind::Without)?.is_some() {
            return Ok(Some(Grouping::Without(self.label_list()?)));
        }

        Ok(None)
    }

    /// Parses label names in parentheses.
    pub(super) fn label_list(&mut self) -> Parsed<Vec<String>> {
        const CONTEXT: &str = "grouping opts";
        self.within(CONTEXT, "\"(\"", |parser| {
            parser.expect(TokenKind::LeftParen)
        })?;

        let mut labels = Vec::new();

        while self.take(TokenKind::RightParen)?.is_none() {
            labels.push(self.within(CONTEXT, "label", Self::label_name)?);
            match self.peek()?.kind {
                TokenKind::Comma => {
                    self.advance()?;
                }
                TokenKind::RightParen => {}
                _ => return self.fail_unexpected(CONTEXT, "\",\" or \")\""),
            }
        }

        Ok(labels)
    }

    fn label_name(&mut self) -> Parsed<String> {
        let token: Token = self.peek()?;
        let name = match token.kind {
            TokenKind::String => {
                self.advance()?;
                self.unquoted(token)?
            }
            kind if kind.is_label_name() => {
                self.advance()?;
                self.written(token).to_owned()
            }
            _ => return Err(Failure::Unexpected),
        };

        if name.is_empty() {
            return Err(self.fail(token.pos, "invalid label name for grouping: \"\""));
        }

        Ok(name)
    }
}
