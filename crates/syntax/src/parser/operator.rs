//! The operator of a token, and the tokens that may begin an expression.

use crate::ast::{AggregateOp, UnaryOp};
use crate::token::TokenKind;

pub(super) fn aggregate_op(kind: TokenKind) -> Option<AggregateOp> {
    Some(match kind {
        TokenKind::Avg => AggregateOp::Avg,
        TokenKind::Bottomk => AggregateOp::Bottomk,
        TokenKind::Count => AggregateOp::Count,
        TokenKind::CountValues => AggregateOp::CountValues,
        TokenKind::Group => AggregateOp::Group,
        TokenKind::LimitRatio => AggregateOp::LimitRatio,
        TokenKind::Limitk => AggregateOp::Limitk,
        TokenKind::Max => AggregateOp::Max,
        TokenKind::Min => AggregateOp::Min,
        TokenKind::Quantile => AggregateOp::Quantile,
        TokenKind::Stddev => AggregateOp::Stddev,
        TokenKind::Stdvar => AggregateOp::Stdvar,
        TokenKind::Sum => AggregateOp::Sum,
        TokenKind::Topk => AggregateOp::Topk,
        _ => return None,
    })
}

pub(super) fn sign(kind: TokenKind) -> Option<UnaryOp> {
    match kind {
        TokenKind::Add => Some(UnaryOp::Plus),
        TokenKind::Sub => Some(UnaryOp::Minus),
        _ => None,
    }
}

/// Whether an expression may start with this token.
pub(super) fn starts_expression(kind: TokenKind) -> bool {
    sign(kind).is_some()
        || kind.is_metric_name()
        || matches!(
            kind,
            TokenKind::Number
                | TokenKind::Duration
                | TokenKind::String
                | TokenKind::LeftParen
                | TokenKind::LeftBrace
        )
}
