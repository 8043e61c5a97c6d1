//! Modifiers after an operand: ranges, `offset`, `@`, `anchored` and `smoothed`. They bind tighter
//! than any operator.

use super::{Parsed, Parser, Tall};
use crate::ast::{At, DurationExpr, Expr, OffsetSpec, VectorSelector};
use crate::duration::seconds_to_ms;
use crate::number::format_fixed;
use crate::position::PosRange;
use crate::token::{Token, TokenKind};

const DURATION: &str = "number, duration, step(), or range()";
const NOT_A_SELECTOR: &str =
    "must be preceded by an instant vector selector or range vector selector or a subquery";

/// Whether samples at the ends of a range are used as they are or interpolated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RangeEnds {
    Anchored,
    Smoothed,
}

/// The parts of a selector or subquery that a modifier changes.
struct Modifiable<'a> {
    offset: &'a mut OffsetSpec,
    at: &'a mut Option<At>,
    pos: &'a mut PosRange,
}

fn modifiable(expr: &mut Expr) -> Option<Modifiable<'_>> {
    match expr {
        Expr::VectorSelector(VectorSelector {
            offset, at, pos, ..
        })
        | Expr::Subquery {
            offset, at, pos, ..
        } => Some(Modifiable { offset, at, pos }),
        Expr::MatrixSelector { selector, pos, .. } => {
            let VectorSelector { offset, at, .. } = selector.as_mut();
            Some(Modifiable { offset, at, pos })
        }
        _ => None,
    }
}

impl Parser<'_> {
    /// Parses all modifiers that follow the operand. Returns the modified operand.
    pub(super) fn modified(&mut self, mut operand: Tall<Expr>) -> Parsed<Tall<Expr>> {
        loop {
            operand = match self.peek()?.kind {
                TokenKind::Offset => self.offset(operand)?,
                TokenKind::At => self.at_modifier(operand)?,
                TokenKind::LeftBracket => self.range(operand)?,
                TokenKind::Anchored => self.range_ends(operand, RangeEnds::Anchored)?,
                TokenKind::Smoothed => self.range_ends(operand, RangeEnds::Smoothed)?,
                _ => return Ok(operand),
            };
        }
    }

    fn offset(&mut self, mut operand: Tall<Expr>) -> Parsed<Tall<Expr>> {
        self.advance()?;

        let duration = self.within("offset", DURATION, Self::offset_duration)?;
        let pos = operand.node.pos();
        let end = self.last_closing;
        let Some(parts) = modifiable(&mut operand.node) else {
            return Err(self.fail(pos, format!("offset modifier {NOT_A_SELECTOR}")));
        };

        if *parts.offset != OffsetSpec::NONE {
            return Err(self.fail(pos, "offset may not be set multiple times"));
        }

        *parts.offset = match duration.literal_seconds() {
            Some(seconds) => OffsetSpec::Ms(seconds_to_ms(seconds)),
            _ => OffsetSpec::Expr(duration),
        };

        parts.pos.end = end;
        Ok(operand)
    }

    fn at_modifier(&mut self, mut operand: Tall<Expr>) -> Parsed<Tall<Expr>> {
        self.advance()?;

        let pos = operand.node.pos();
        let at = self.within("@", "timestamp", |parser| parser.at_time(pos))?;
        let end = self.last_closing;
        let Some(parts) = modifiable(&mut operand.node) else {
            return Err(self.fail(pos, format!("@ modifier {NOT_A_SELECTOR}")));
        };

        if parts.at.is_some() {
            return Err(self.fail(pos, "@ <timestamp> may not be set multiple times"));
        }

        *parts.at = Some(at);
        parts.pos.end = end;
        Ok(operand)
    }

    /// Parses the time after `@`. `pos` is the position of the modified operand.
    fn at_time(&mut self, pos: PosRange) -> Parsed<At> {
        let preprocessor = match self.peek()?.kind {
            TokenKind::Start => At::Start,
            TokenKind::End => At::End,
            _ => {
                let seconds = self.signed_number()?;
                let timestamp_ms = timestamp_ms(seconds).ok_or_else(|| {
                    self.fail(
                        pos,
                        format!(
                            "timestamp out of bounds for @ modifier: {}",
                            format_fixed(seconds)
                        ),
                    )
                })?;

                return Ok(At::TimestampMs(timestamp_ms));
            }
        };

        self.advance()?;
        self.expect(TokenKind::LeftParen)?;
        self.expect(TokenKind::RightParen)?;

        Ok(preprocessor)
    }

    fn range_ends(&mut self, mut operand: Tall<Expr>, ends: RangeEnds) -> Parsed<Tall<Expr>> {
        self.advance()?;

        let word = match ends {
            RangeEnds::Anchored => "anchored",
            RangeEnds::Smoothed => "smoothed",
        };

        let pos = operand.node.pos();
        let selector = match &mut operand.node {
            Expr::VectorSelector(selector) => selector,
            Expr::MatrixSelector { selector, .. } => selector.as_mut(),
            Expr::Subquery { .. } => {
                return Err(self.fail(
                    pos,
                    format!("{word} modifier is not supported for subqueries"),
                ));
            }
            _ => return Err(self.fail(pos, format!("{word} modifier not implemented"))),
        };

        match ends {
            RangeEnds::Anchored => selector.anchored = true,
            RangeEnds::Smoothed => selector.smoothed = true,
        }

        if selector.anchored && selector.smoothed {
            return Err(self.fail(
                pos,
                "anchored and smoothed modifiers cannot be used together",
            ));
        }

        Ok(operand)
    }

    /// Parses `[range]` or `[range:step]`.
    fn range(&mut self, operand: Tall<Expr>) -> Parsed<Tall<Expr>> {
        let open = self.advance()?;
        let range = self.within(
            "subquery or range selector",
            DURATION,
            Self::positive_duration,
        )?;

        match self.peek()?.kind {
            TokenKind::RightBracket => {
                let close = self.advance()?;
                self.matrix_selector(operand, range, open.pos.to(close.pos))
            }
            TokenKind::Colon => {
                self.advance()?;
                self.subquery(operand, range)
            }
            _ => self.fail_unexpected("subquery or range", "\":\" or \"]\""),
        }
    }

    fn matrix_selector(
        &self,
        operand: Tall<Expr>,
        range: DurationExpr,
        brackets: PosRange,
    ) -> Parsed<Tall<Expr>> {
        let Expr::VectorSelector(selector) = &operand.node else {
            return Err(self.fail(brackets, "ranges only allowed for vector selectors"));
        };

        if selector.offset != OffsetSpec::NONE {
            return Err(self.fail(brackets, "no offset modifiers allowed before range"));
        }

        if selector.at.is_some() {
            return Err(self.fail(brackets, "no @ modifiers allowed before range"));
        }

        let pos = selector.pos.to(brackets);
        Ok(Tall {
            node: Expr::MatrixSelector {
                selector: Box::new(selector.clone()),
                range,
                pos,
            },
            height: 2,
        })
    }

    fn subquery(&mut self, operand: Tall<Expr>, range: DurationExpr) -> Parsed<Tall<Expr>> {
        const CONTEXT: &str = "subquery selector";

        let mut step = None;
        if self.peek()?.kind != TokenKind::RightBracket {
            let expected = "number, duration, step(), range(), or \"]\"";
            step = Some(self.within(CONTEXT, expected, Self::positive_duration)?);
        }

        let close: Token = self.within(CONTEXT, "\"]\"", |parser| {
            parser.expect(TokenKind::RightBracket)
        })?;
        let pos = operand.node.pos().to(close.pos);
        let height = self.height_over(pos, &[operand.height])?;

        let node = Expr::Subquery {
            expr: Box::new(operand.node),
            range,
            step,
            offset: OffsetSpec::NONE,
            at: None,
            pos,
        };

        Ok(Tall { node, height })
    }

    /// Parses a duration that must be above zero. Only literals can be checked before the query
    /// runs.
    fn positive_duration(&mut self) -> Parsed<DurationExpr> {
        let duration = self.duration_expression()?;
        match duration.literal_seconds() {
            Some(seconds) if seconds <= 0.0 => {
                Err(self.fail(duration.pos, "duration must be greater than 0"))
            }
            _ => Ok(duration),
        }
    }
}

/// Converts seconds to milliseconds. Returns `None` when the time does not fit into 63 bits of
/// seconds.
fn timestamp_ms(seconds: f64) -> Option<i64> {
    const SECONDS_MAX: f64 = 9_223_372_036_854_775_808.0;
    if seconds.is_nan() || seconds.abs() >= SECONDS_MAX {
        return None;
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates; such times are centuries beyond any sample"
    )]
    Some((seconds * 1000.0).round() as i64)
}
