//! Binary operators of two samples, one of which is a histogram at least.

use duramen_model::{FloatHistogram, ResetHint};
use duramen_syntax::ast::BinaryOp;

use crate::kernels::arithmetic;
use crate::kernels::trim::{self, Kept};
use crate::remark::{Kind, Operation, Remark};
use crate::vector::Sample;

/// The value of an operator; `None` when it has none. A comparison without `bool` gives the left sample where it holds.
pub(crate) fn combine(
    op: BinaryOp,
    return_bool: bool,
    left: Sample,
    right: Sample,
    remark: &mut dyn FnMut(Remark<'_>),
) -> Option<Sample> {
    match (left, right) {
        (Sample::Histogram(left), Sample::Histogram(right)) => of_histograms(op, return_bool, *left, &right, remark),
        (Sample::Float(factor), Sample::Histogram(mut histogram)) if op == BinaryOp::Mul => {
            histogram.scale(factor);
            Some(compacted(*histogram))
        }
        (Sample::Histogram(mut histogram), Sample::Float(value)) if matches!(op, BinaryOp::Mul | BinaryOp::Div) => {
            match op {
                BinaryOp::Mul => histogram.scale(value),
                _ => histogram.divide(value),
            }
            Some(compacted(*histogram))
        }
        (Sample::Histogram(histogram), Sample::Float(value)) if arithmetic::is_trim(op) => {
            let kept = if op == BinaryOp::TrimUpper { Kept::Below(value) } else { Kept::Above(value) };
            Some(Sample::Histogram(Box::new(trim::trim(*histogram, kept))))
        }
        (Sample::Float(left), Sample::Float(right)) if !arithmetic::is_trim(op) => {
            if op.is_comparison() && !return_bool {
                return arithmetic::compare(op, left, right).then_some(Sample::Float(left));
            }
            Some(Sample::Float(arithmetic::value(op, left, right)))
        }
        (left, right) => {
            remark(Remark::IncompatibleTypes { op, left: kind(&left), right: kind(&right) });
            None
        }
    }
}

/// Whether the operator has a result for two such values, and be it that a comparison does not hold.
pub(crate) fn applies(op: BinaryOp, left: &Sample, right: &Sample) -> bool {
    let trims = arithmetic::is_trim(op);
    match (left, right) {
        (Sample::Float(_), Sample::Float(_)) => !trims,
        (Sample::Float(_), Sample::Histogram(_)) => op == BinaryOp::Mul,
        (Sample::Histogram(_), Sample::Float(_)) => trims || matches!(op, BinaryOp::Mul | BinaryOp::Div),
        (Sample::Histogram(left), Sample::Histogram(right)) => match op {
            BinaryOp::Equal | BinaryOp::NotEqual => true,
            BinaryOp::Add | BinaryOp::Sub => {
                left.uses_custom_buckets() == right.uses_custom_buckets() && !hints_collide(left.hint, right.hint)
            }
            _ => false,
        },
    }
}

/// One says that it began anew, and the other that it did not.
fn hints_collide(left: ResetHint, right: ResetHint) -> bool {
    let says = |hint| matches!(hint, ResetHint::Reset | ResetHint::NotReset);
    says(left) && says(right) && left != right
}

fn of_histograms(
    op: BinaryOp,
    return_bool: bool,
    mut left: FloatHistogram,
    right: &FloatHistogram,
    remark: &mut dyn FnMut(Remark<'_>),
) -> Option<Sample> {
    let (done, operation) = match op {
        BinaryOp::Add => (left.add(right), Operation::Addition),
        BinaryOp::Sub => (left.subtract(right), Operation::Subtraction),
        BinaryOp::Equal | BinaryOp::NotEqual => {
            let holds = (left == *right) == (op == BinaryOp::Equal);
            return match return_bool {
                true => Some(Sample::Float(f64::from(u8::from(holds)))),
                false => holds.then(|| Sample::Histogram(Box::new(left))),
            };
        }
        _ => {
            let kind = Kind::Histogram;
            remark(Remark::IncompatibleTypes { op, left: kind, right: kind });
            return None;
        }
    };
    let Ok(done) = done else {
        remark(Remark::IncompatibleLayout(op));
        return None;
    };
    if done.hints_collide {
        // Upstream has no result where it warns.
        remark(Remark::HintsCollide(operation));
        return None;
    }
    if done.bounds_differ {
        remark(Remark::BoundsReconciled(operation));
    }
    if op == BinaryOp::Sub {
        left.hint = ResetHint::Gauge;
    }
    Some(compacted(left))
}

fn compacted(mut histogram: FloatHistogram) -> Sample {
    histogram.compact();
    Sample::Histogram(Box::new(histogram))
}

fn kind(sample: &Sample) -> Kind {
    match sample {
        Sample::Float(_) => Kind::Float,
        Sample::Histogram(_) => Kind::Histogram,
    }
}
