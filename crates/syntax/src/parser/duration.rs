//! Durations in brackets and after `offset`: literals and arithmetic over them.

use super::operator::sign;
use super::{Failure, Parsed, Parser, Tall};
use crate::ast::{DurationExpr, DurationKind, DurationOp, UnaryOp};
use crate::duration::DURATION_SECONDS_MAX;
use crate::growing_stack::on_growing_stack;
use crate::position::PosRange;
use crate::token::{Token, TokenKind};

/// Signs bind like multiplication, as in expressions.
const SIGN_PRECEDENCE: u8 = 2;

enum Waiting {
    Sign { op: UnaryOp, pos: PosRange },
    Binary { op: DurationOp, pos: PosRange },
}

impl Waiting {
    fn precedence(&self) -> u8 {
        match self {
            Self::Sign { .. } => SIGN_PRECEDENCE,
            Self::Binary { op, .. } => precedence(*op),
        }
    }
}

fn precedence(op: DurationOp) -> u8 {
    match op {
        DurationOp::Add | DurationOp::Sub => 1,
        DurationOp::Mul | DurationOp::Div | DurationOp::Mod => SIGN_PRECEDENCE,
        DurationOp::Pow => 3,
        // These are written as calls.
        DurationOp::Min | DurationOp::Max => 4,
    }
}

fn duration_op(kind: TokenKind) -> Option<DurationOp> {
    Some(match kind {
        TokenKind::Add => DurationOp::Add,
        TokenKind::Sub => DurationOp::Sub,
        TokenKind::Mul => DurationOp::Mul,
        TokenKind::Div => DurationOp::Div,
        TokenKind::Mod => DurationOp::Mod,
        TokenKind::Pow => DurationOp::Pow,
        _ => return None,
    })
}

/// Whether the token starts a duration that ends before any arithmetic, when it follows `offset`.
fn is_closed(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Number
            | TokenKind::Duration
            | TokenKind::Step
            | TokenKind::Range
            | TokenKind::MinOf
            | TokenKind::MaxOf
    )
}

impl Parser<'_> {
    /// Parses the duration after `offset`. Arithmetic belongs to the duration only in parentheses:
    /// `foo offset -2 ^ 2` is `(foo offset -2) ^ 2`.
    pub(super) fn offset_duration(&mut self) -> Parsed<DurationExpr> {
        let first = self.peek()?;
        let second = self.second_kind();

        if is_closed(first.kind) {
            return self.duration_operand().map(|duration| duration.node);
        }

        match sign(first.kind) {
            Some(op) if second == TokenKind::LeftParen || is_closed(second) => {
                self.advance()?;

                let operand = match second {
                    TokenKind::Number | TokenKind::Duration => Tall::leaf(self.duration_literal()?),
                    _ => self.duration_operand()?,
                };

                self.signed_duration(op, first.pos, operand)
                    .map(|duration| duration.node)
            }
            _ => self.duration_expression(),
        }
    }

    /// Parses a duration with all arithmetic that follows.
    pub(super) fn duration_expression(&mut self) -> Parsed<DurationExpr> {
        self.tall_duration().map(|duration| duration.node)
    }

    fn tall_duration(&mut self) -> Parsed<Tall<DurationExpr>> {
        on_growing_stack(|| self.duration_operators())
    }

    fn duration_operators(&mut self) -> Parsed<Tall<DurationExpr>> {
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut operands: Vec<Tall<DurationExpr>> = Vec::new();

        loop {
            while let Some(op) = sign(self.peek()?.kind) {
                waiting.push(Waiting::Sign {
                    op,
                    pos: self.advance()?.pos,
                });
            }

            operands.push(self.duration_operand()?);

            let Some(op) = duration_op(self.peek()?.kind) else {
                break;
            };

            let right_associative = op == DurationOp::Pow;

            while let Some(last) = waiting.pop_if(|last| {
                last.precedence() > precedence(op)
                    || (last.precedence() == precedence(op) && !right_associative)
            }) {
                self.apply_duration(last, &mut operands)?;
            }

            waiting.push(Waiting::Binary {
                op,
                pos: self.advance()?.pos,
            });
        }

        while let Some(last) = waiting.pop() {
            self.apply_duration(last, &mut operands)?;
        }

        operands.pop().ok_or(Failure::Unexpected)
    }

    fn apply_duration(
        &self,
        waiting: Waiting,
        operands: &mut Vec<Tall<DurationExpr>>,
    ) -> Parsed<()> {
        let rhs = operands.pop().ok_or(Failure::Unexpected)?;
        let applied = match waiting {
            Waiting::Sign { op, pos } => self.signed_duration(op, pos, rhs)?,
            Waiting::Binary { op, pos } => {
                let lhs = operands.pop().ok_or(Failure::Unexpected)?;
                let divides_by_zero = rhs.node.literal_seconds() == Some(0.0);

                match op {
                    DurationOp::Div if divides_by_zero => {
                        return Err(self.fail(pos, "division by zero"));
                    }
                    DurationOp::Mod if divides_by_zero => {
                        return Err(self.fail(pos, "modulo by zero"));
                    }
                    _ => self.binary_duration(op, lhs, rhs)?,
                }
            }
        };

        operands.push(applied);
        Ok(())
    }

    fn binary_duration(
        &self,
        op: DurationOp,
        lhs: Tall<DurationExpr>,
        rhs: Tall<DurationExpr>,
    ) -> Parsed<Tall<DurationExpr>> {
        let pos = lhs.node.pos.to(rhs.node.pos);
        let height = self.duration_height_over(pos, &[lhs.height, rhs.height])?;

        let kind = DurationKind::Binary {
            op,
            lhs: Box::new(lhs.node),
            rhs: Box::new(rhs.node),
        };

        Ok(Tall {
            node: DurationExpr {
                kind,
                wrapped: false,
                pos,
            },
            height,
        })
    }

    /// Folds the sign of a literal into it, and drops a plus.
    fn signed_duration(
        &self,
        op: UnaryOp,
        op_pos: PosRange,
        operand: Tall<DurationExpr>,
    ) -> Parsed<Tall<DurationExpr>> {
        let Tall { mut node, height } = operand;
        let pos = op_pos.to(node.pos);

        if let DurationKind::Literal { seconds, .. } = &mut node.kind {
            if op == UnaryOp::Minus {
                *seconds = -*seconds;
            }

            let seconds = *seconds;
            node.pos = pos;
            self.check_duration_range(seconds, op_pos)?;
            return Ok(Tall::leaf(node));
        }

        if op == UnaryOp::Plus {
            return Ok(Tall { node, height });
        }

        let height = self.duration_height_over(pos, &[height])?;
        let kind = DurationKind::Unary {
            op,
            expr: Box::new(node),
        };

        Ok(Tall {
            node: DurationExpr {
                kind,
                wrapped: false,
                pos,
            },
            height,
        })
    }

    fn duration_operand(&mut self) -> Parsed<Tall<DurationExpr>> {
        match self.peek()?.kind {
            TokenKind::Number | TokenKind::Duration => {
                let literal = self.duration_literal()?;
                self.check_duration_range(
                    literal.literal_seconds().unwrap_or_default(),
                    literal.pos,
                )?;

                Ok(Tall::leaf(literal))
            }
            TokenKind::Step => self.query_duration(DurationKind::Step),
            TokenKind::Range => self.query_duration(DurationKind::Range),
            TokenKind::MinOf => self.duration_call(DurationOp::Min),
            TokenKind::MaxOf => self.duration_call(DurationOp::Max),
            TokenKind::LeftParen => {
                let open = self.advance()?;
                let inner = self.tall_duration()?;
                self.expect(TokenKind::RightParen)?;

                self.wrapped(open.pos, inner)
            }
            _ => Err(Failure::Unexpected),
        }
    }

    /// A duration in parentheses. Its position is that of the text inside. As in upstream, a number
    /// in parentheses is no longer a literal.
    fn wrapped(&self, open: PosRange, inner: Tall<DurationExpr>) -> Parsed<Tall<DurationExpr>> {
        let Tall {
            mut node,
            mut height,
        } = inner;

        if matches!(node.kind, DurationKind::Literal { .. }) {
            let pos = open.to(node.pos);
            height = self.height_over(pos, &[height])?;

            let kind = DurationKind::Unary {
                op: UnaryOp::Plus,
                expr: Box::new(node),
            };

            node = DurationExpr {
                kind,
                wrapped: true,
                pos,
            };
        }

        node.wrapped = true;
        Ok(Tall { node, height })
    }

    fn duration_literal(&mut self) -> Parsed<DurationExpr> {
        let token: Token = self.advance()?;
        let kind = DurationKind::Literal {
            seconds: self.number_value(token)?,
            is_duration: token.kind == TokenKind::Duration,
        };

        Ok(DurationExpr {
            kind,
            wrapped: false,
            pos: token.pos,
        })
    }

    /// Parses `step()` or `range()`.
    fn query_duration(&mut self, kind: DurationKind) -> Parsed<Tall<DurationExpr>> {
        let name = self.advance()?;
        self.expect(TokenKind::LeftParen)?;

        let close = self.expect(TokenKind::RightParen)?;
        Ok(Tall::leaf(DurationExpr {
            kind,
            wrapped: false,
            pos: name.pos.to(close.pos),
        }))
    }

    /// Parses `min_of(a, b)` or `max_of(a, b)`.
    fn duration_call(&mut self, op: DurationOp) -> Parsed<Tall<DurationExpr>> {
        let name = self.advance()?;
        self.expect(TokenKind::LeftParen)?;

        let lhs = self.tall_duration()?;
        self.expect(TokenKind::Comma)?;

        let rhs = self.tall_duration()?;
        let close = self.expect(TokenKind::RightParen)?;
        let mut call = self.binary_duration(op, lhs, rhs)?;

        call.node.pos = name.pos.to(close.pos);
        Ok(call)
    }

    fn check_duration_range(&self, seconds: f64, pos: PosRange) -> Parsed<()> {
        if seconds.abs() > DURATION_SECONDS_MAX {
            return Err(self.fail(pos, "duration out of range"));
        }

        Ok(())
    }
}
