//! Expressions: operators and operands.

use super::operator::{aggregate_op, sign, starts_expression};
use super::{Failure, Parsed, Parser, Tall};
use crate::ast::{BinaryOp, Cardinality, Expr, UnaryOp, ValueType, VectorMatching};
use crate::growing_stack::on_growing_stack;
use crate::number::parse_number;
use crate::position::PosRange;
use crate::quoted::{quote, unquote};
use crate::token::{Token, TokenKind};

/// Signs bind like multiplication: `-a ^ b` is `-(a ^ b)`, and `-a * b` is `(-a) * b`.
const SIGN_PRECEDENCE: u8 = 5;
const POWER_PRECEDENCE: u8 = 6;

/// An operator whose right operand was not read yet.
enum Waiting {
    Sign { op: UnaryOp, pos: PosRange },
    Binary(BinaryHead),
}

/// A binary operator with its modifiers.
pub(super) struct BinaryHead {
    pub(super) op: BinaryOp,
    pub(super) return_bool: bool,
    pub(super) matching: VectorMatching,
}

impl Waiting {
    fn precedence(&self) -> u8 {
        match self {
            Self::Sign { .. } => SIGN_PRECEDENCE,
            Self::Binary(head) => precedence(head.op),
        }
    }
}

fn precedence(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => 1,
        BinaryOp::And | BinaryOp::Unless => 2,
        BinaryOp::Equal
        | BinaryOp::NotEqual
        | BinaryOp::Greater
        | BinaryOp::GreaterOrEqual
        | BinaryOp::Less
        | BinaryOp::LessOrEqual
        | BinaryOp::TrimUpper
        | BinaryOp::TrimLower => 3,
        BinaryOp::Add | BinaryOp::Sub => 4,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Atan2 => SIGN_PRECEDENCE,
        BinaryOp::Pow => POWER_PRECEDENCE,
    }
}

fn binary_op(kind: TokenKind) -> Option<BinaryOp> {
    Some(match kind {
        TokenKind::Add => BinaryOp::Add,
        TokenKind::Sub => BinaryOp::Sub,
        TokenKind::Mul => BinaryOp::Mul,
        TokenKind::Div => BinaryOp::Div,
        TokenKind::Mod => BinaryOp::Mod,
        TokenKind::Pow => BinaryOp::Pow,
        TokenKind::Atan2 => BinaryOp::Atan2,
        TokenKind::Equal => BinaryOp::Equal,
        TokenKind::NotEqual => BinaryOp::NotEqual,
        TokenKind::Greater => BinaryOp::Greater,
        TokenKind::GreaterOrEqual => BinaryOp::GreaterOrEqual,
        TokenKind::Less => BinaryOp::Less,
        TokenKind::LessOrEqual => BinaryOp::LessOrEqual,
        TokenKind::TrimUpper => BinaryOp::TrimUpper,
        TokenKind::TrimLower => BinaryOp::TrimLower,
        TokenKind::And => BinaryOp::And,
        TokenKind::Or => BinaryOp::Or,
        TokenKind::Unless => BinaryOp::Unless,
        _ => return None,
    })
}

impl Parser<'_> {
    /// Parses an expression, up to the first token that cannot continue it.
    pub(super) fn expression(&mut self) -> Parsed<Tall<Expr>> {
        on_growing_stack(|| self.operators())
    }

    fn operators(&mut self) -> Parsed<Tall<Expr>> {
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut operands: Vec<Tall<Expr>> = Vec::new();

        loop {
            while let Some(op) = sign(self.peek()?.kind) {
                waiting.push(Waiting::Sign {
                    op,
                    pos: self.advance()?.pos,
                });
            }

            let operand = self.operand()?;
            operands.push(self.modified(operand)?);

            let Some(op) = binary_op(self.peek()?.kind) else {
                break;
            };

            let right_associative = op == BinaryOp::Pow;

            while let Some(last) = waiting.pop_if(|last| {
                last.precedence() > precedence(op)
                    || (last.precedence() == precedence(op) && !right_associative)
            }) {
                self.apply(last, &mut operands)?;
            }

            self.advance()?;
            waiting.push(Waiting::Binary(self.binary_modifiers(op)?));
        }

        while let Some(last) = waiting.pop() {
            self.apply(last, &mut operands)?;
        }

        operands.pop().ok_or(Failure::Unexpected)
    }

    /// Applies an operator to its operands, which are the last ones read.
    fn apply(&self, waiting: Waiting, operands: &mut Vec<Tall<Expr>>) -> Parsed<()> {
        let rhs = operands.pop().ok_or(Failure::Unexpected)?;
        self.count_node(rhs.node.pos())?;

        let applied = match waiting {
            Waiting::Sign { op, pos } => self.signed(op, pos, rhs)?,
            Waiting::Binary(head) => {
                let lhs = operands.pop().ok_or(Failure::Unexpected)?;
                let pos = lhs.node.pos().to(rhs.node.pos());
                let height = self.height_over(pos, &[lhs.height, rhs.height])?;
                let value_type = match (lhs.node.value_type(), rhs.node.value_type()) {
                    (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                    _ => ValueType::Vector,
                };

                let node = Expr::Binary {
                    op: head.op,
                    value_type,
                    lhs: Box::new(lhs.node),
                    rhs: Box::new(rhs.node),
                    return_bool: head.return_bool,
                    matching: Some(head.matching),
                    pos,
                };

                Tall { node, height }
            }
        };

        operands.push(applied);
        Ok(())
    }

    /// Folds the sign of a number into it.
    fn signed(&self, op: UnaryOp, op_pos: PosRange, operand: Tall<Expr>) -> Parsed<Tall<Expr>> {
        let pos = op_pos.to(operand.node.pos());
        if let Expr::Number {
            value, is_duration, ..
        } = operand.node
        {
            let value = if op == UnaryOp::Minus { -value } else { value };
            return Ok(Tall::leaf(Expr::Number {
                value,
                is_duration,
                pos,
            }));
        }

        let height = self.height_over(pos, &[operand.height])?;
        Ok(Tall {
            node: Expr::Unary {
                op,
                expr: Box::new(operand.node),
                pos,
            },
            height,
        })
    }

    fn operand(&mut self) -> Parsed<Tall<Expr>> {
        let token = self.peek()?;
        self.count_node(token.pos)?;

        let opens_call = self.second_kind() == TokenKind::LeftParen;

        match token.kind {
            TokenKind::Number | TokenKind::Duration => self.number().map(Tall::leaf),
            TokenKind::String => self.string().map(Tall::leaf),
            TokenKind::LeftParen => self.parenthesized(),
            TokenKind::Identifier
            | TokenKind::Start
            | TokenKind::End
            | TokenKind::Step
            | TokenKind::Range
            | TokenKind::MinOf
            | TokenKind::MaxOf
                if opens_call =>
            {
                self.call()
            }
            kind => match aggregate_op(kind) {
                Some(op)
                    if opens_call
                        || matches!(self.second_kind(), TokenKind::By | TokenKind::Without) =>
                {
                    self.aggregate(op)
                }
                _ => self
                    .vector_selector()
                    .map(|selector| Tall::leaf(Expr::VectorSelector(selector))),
            },
        }
    }

    fn parenthesized(&mut self) -> Parsed<Tall<Expr>> {
        let open = self.advance()?;
        let inner = self.expression()?;
        let close = self.expect(TokenKind::RightParen)?;
        let pos = open.pos.to(close.pos);
        let height = self.height_over(pos, &[inner.height])?;

        Ok(Tall {
            node: Expr::Paren {
                expr: Box::new(inner.node),
                pos,
            },
            height,
        })
    }

    fn number(&mut self) -> Parsed<Expr> {
        let token = self.advance()?;
        let value = self.number_value(token)?;

        Ok(Expr::Number {
            value,
            is_duration: token.kind == TokenKind::Duration,
            pos: token.pos,
        })
    }

    /// The value of a number or a duration, the latter in seconds.
    pub(super) fn number_value(&self, token: Token) -> Parsed<f64> {
        let written = self.written(token);
        if token.kind == TokenKind::Duration {
            let duration_ms = duramen_model::duration::parse_ms(written)
                .map_err(|error| self.fail(token.pos, error.to_string()))?;
            return Ok(duration_ms as f64 / 1000.0);
        }

        parse_number(written)
            .map_err(|reason| self.fail(token.pos, format!("error parsing number: {reason}")))
    }

    /// Parses a number or a duration, with or without a sign.
    pub(super) fn signed_number(&mut self) -> Parsed<f64> {
        let op = sign(self.peek()?.kind);
        if op.is_some() {
            self.advance()?;
        }

        let token = match self.peek()?.kind {
            TokenKind::Number | TokenKind::Duration => self.advance()?,
            _ => return Err(Failure::Unexpected),
        };

        let value = self.number_value(token)?;
        Ok(if op == Some(UnaryOp::Minus) {
            -value
        } else {
            value
        })
    }

    fn string(&mut self) -> Parsed<Expr> {
        let token = self.advance()?;
        let bytes = self.unquoted_bytes(token)?;

        let (value, bytes) = match String::from_utf8(bytes) {
            Ok(value) => (value, None),
            Err(error) => (
                String::from_utf8_lossy(error.as_bytes()).into_owned(),
                Some(error.into_bytes()),
            ),
        };

        Ok(Expr::String {
            value,
            bytes,
            pos: token.pos,
        })
    }

    fn unquoted_bytes(&self, token: Token) -> Parsed<Vec<u8>> {
        let written = self.written(token);
        unquote(written).ok_or_else(|| {
            self.fail(
                token.pos,
                format!("error unquoting string {}: invalid syntax", quote(written)),
            )
        })
    }

    /// The value of a string that is used as a label. Labels are UTF-8, so invalid bytes become
    /// U+FFFD.
    pub(super) fn unquoted(&self, token: Token) -> Parsed<String> {
        let bytes = self.unquoted_bytes(token)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Parses the modifiers between a binary operator and its right operand.
    fn binary_modifiers(&mut self, op: BinaryOp) -> Parsed<BinaryHead> {
        let return_bool = self.take(TokenKind::Bool)?.is_some();
        let mut matching = VectorMatching {
            card: Cardinality::OneToOne,
            on: false,
            labels: Vec::new(),
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
            fill_joint: false,
        };

        if let TokenKind::On | TokenKind::Ignoring = self.peek()?.kind {
            matching.on = self.advance()?.kind == TokenKind::On;
            matching.labels = self.label_list()?;
            self.group_modifier(&mut matching)?;
        }

        self.fill_modifiers(&mut matching)?;
        Ok(BinaryHead {
            op,
            return_bool,
            matching,
        })
    }

    fn group_modifier(&mut self, matching: &mut VectorMatching) -> Parsed<()> {
        matching.card = match self.peek()?.kind {
            TokenKind::GroupLeft => Cardinality::ManyToOne,
            TokenKind::GroupRight => Cardinality::OneToMany,
            _ => return Ok(()),
        };

        self.advance()?;

        let next = self.peek()?.kind;
        let may_follow = starts_expression(next) || is_fill(next);

        if next == TokenKind::LeftParen || !may_follow {
            matching.include = self.label_list()?;
        }

        Ok(())
    }

    fn fill_modifiers(&mut self, matching: &mut VectorMatching) -> Parsed<()> {
        if self.take(TokenKind::Fill)?.is_some() {
            let value = self.fill_value()?;
            (matching.fill_left, matching.fill_right) = (Some(value), Some(value));
            matching.fill_joint = true;
            return Ok(());
        }

        if self.take(TokenKind::FillLeft)?.is_some() {
            matching.fill_left = Some(self.fill_value()?);
            if self.take(TokenKind::FillRight)?.is_some() {
                matching.fill_right = Some(self.fill_value()?);
            }
        } else if self.take(TokenKind::FillRight)?.is_some() {
            matching.fill_right = Some(self.fill_value()?);
            if self.take(TokenKind::FillLeft)?.is_some() {
                matching.fill_left = Some(self.fill_value()?);
            }
        }

        Ok(())
    }

    fn fill_value(&mut self) -> Parsed<f64> {
        self.expect(TokenKind::LeftParen)?;

        let value = self.signed_number()?;
        self.expect(TokenKind::RightParen)?;
        Ok(value)
    }
}

fn is_fill(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Fill | TokenKind::FillLeft | TokenKind::FillRight
    )
}
