//! Binary operators of two samples, at least one of which is a histogram.

use duramen_model::{FloatHistogram, ResetHint};
use duramen_syntax::ast::BinaryOp;

use crate::annotation::{Annotation, Kind, Operation};
use crate::kernels::arithmetic;
use crate::kernels::trim::{self, Kept};
use crate::vector::Sample;

/// The result of an operator on two samples.
#[derive(Debug)]
pub(crate) enum Combined<T> {
    Value(T),
    /// A filtering comparison that does not hold.
    Filtered,
    /// The operator does not support such samples, which is annotated. They count as if they did
    /// not match.
    Unfit,
}

impl<T> Combined<T> {
    pub(crate) fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Filtered | Self::Unfit => None,
        }
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Combined<U> {
        match self {
            Self::Value(value) => Combined::Value(change(value)),
            Self::Filtered => Combined::Filtered,
            Self::Unfit => Combined::Unfit,
        }
    }

    /// Returns the result of a comparison without `bool`: its left side if it holds.
    pub(crate) fn filter(holds: bool, left: T) -> Self {
        if holds {
            Self::Value(left)
        } else {
            Self::Filtered
        }
    }
}

/// Returns the result of an operator. A comparison without `bool` returns the left sample if it
/// holds.
pub(crate) fn combine(
    op: BinaryOp,
    return_bool: bool,
    left: Sample,
    right: Sample,
    annotate: &mut dyn FnMut(Annotation<'static>),
) -> Combined<Sample> {
    match (left, right) {
        (Sample::Histogram(left), Sample::Histogram(right)) => {
            of_histograms(op, return_bool, *left, &right, annotate)
        }
        (Sample::Float(factor), Sample::Histogram(mut histogram)) if op == BinaryOp::Mul => {
            histogram.scale(factor);
            Combined::Value(compacted(*histogram))
        }
        (Sample::Histogram(mut histogram), Sample::Float(value))
            if matches!(op, BinaryOp::Mul | BinaryOp::Div) =>
        {
            match op {
                BinaryOp::Mul => histogram.scale(value),
                _ => histogram.divide(value),
            }

            Combined::Value(compacted(*histogram))
        }
        (Sample::Histogram(histogram), Sample::Float(value)) if arithmetic::is_trim(op) => {
            let kept = if op == BinaryOp::TrimUpper {
                Kept::Below(value)
            } else {
                Kept::Above(value)
            };

            Combined::Value(Sample::Histogram(Box::new(trim::trim(*histogram, kept))))
        }
        (Sample::Float(left), Sample::Float(right)) if !arithmetic::is_trim(op) => {
            if op.is_comparison() && !return_bool {
                return Combined::filter(arithmetic::compare(op, left, right), Sample::Float(left));
            }

            Combined::Value(Sample::Float(arithmetic::value(op, left, right)))
        }
        (left, right) => {
            annotate(Annotation::IncompatibleTypes {
                op,
                left: kind(&left),
                right: kind(&right),
            });

            Combined::Unfit
        }
    }
}

fn of_histograms(
    op: BinaryOp,
    return_bool: bool,
    mut left: FloatHistogram,
    right: &FloatHistogram,
    annotate: &mut dyn FnMut(Annotation<'static>),
) -> Combined<Sample> {
    let (done, operation) = match op {
        BinaryOp::Add => (left.add(right), Operation::Addition),
        BinaryOp::Sub => (left.subtract(right), Operation::Subtraction),
        BinaryOp::Equal | BinaryOp::NotEqual => {
            let holds = (left == *right) == (op == BinaryOp::Equal);
            return match return_bool {
                true => Combined::Value(Sample::Float(f64::from(u8::from(holds)))),
                false => Combined::filter(holds, Sample::Histogram(Box::new(left))),
            };
        }
        _ => {
            let kind = Kind::Histogram;
            annotate(Annotation::IncompatibleTypes {
                op,
                left: kind,
                right: kind,
            });

            return Combined::Unfit;
        }
    };

    let Ok(done) = done else {
        annotate(Annotation::IncompatibleLayout(op));
        return Combined::Unfit;
    };

    if done.hints_collide {
        // Prometheus returns no sample here, although only a warning is intended.
        annotate(Annotation::HintsCollide(operation));
        return Combined::Unfit;
    }

    if done.bounds_differ {
        annotate(Annotation::BoundsReconciled(operation));
    }

    if op == BinaryOp::Sub {
        left.hint = ResetHint::Gauge;
    }

    Combined::Value(compacted(left))
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
