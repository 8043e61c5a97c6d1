//! Sums and means of many histograms.

use duramen_model::histogram::{HistogramSum, MixedSchemas};
use duramen_model::{FloatHistogram, ResetHint};

use crate::annotation::{Annotation, Operation};

/// How histograms are aggregated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Total {
    Sum,
    Mean,
}

/// The total of the histograms so far.
#[derive(Clone, Debug)]
pub(crate) struct HistogramTotal {
    total: Total,
    /// Their sum. For a mean, their mean from the point at which the sum would overflow.
    value: HistogramSum,
    count: f64,
    carries_mean: bool,
    reset_seen: bool,
    no_reset_seen: bool,
    bounds_differ: bool,
}

impl HistogramTotal {
    pub(crate) fn of(total: Total, first: FloatHistogram) -> Self {
        let mut this = Self {
            total,
            count: 1.0,
            carries_mean: false,
            reset_seen: false,
            no_reset_seen: false,
            bounds_differ: false,
            value: HistogramSum::of(FloatHistogram::empty(0, Vec::new())),
        };

        this.see(first.hint);
        this.value = HistogramSum::of(first);
        this
    }

    fn see(&mut self, hint: ResetHint) {
        self.reset_seen |= hint == ResetHint::Reset;
        self.no_reset_seen |= hint == ResetHint::NotReset;
    }

    pub(crate) fn add(&mut self, mut histogram: FloatHistogram) -> Result<(), MixedSchemas> {
        self.see(histogram.hint);
        self.count += 1.0;

        if self.total == Total::Mean && !self.carries_mean {
            let mut next = self.value.clone();
            let done = next.add(&histogram)?;

            if !next.overflows() {
                self.bounds_differ |= done.bounds_differ;
                self.value = next;
                return Ok(());
            }

            self.carries_mean = true;
            self.value.divide(self.count - 1.0);
        }

        if self.carries_mean {
            self.value.scale((self.count - 1.0) / self.count);
            histogram.divide(self.count);
        }

        self.bounds_differ |= self.value.add(&histogram)?.bounds_differ;
        Ok(())
    }

    pub(crate) fn finish(mut self, annotate: &mut dyn FnMut(Annotation<'_>)) -> FloatHistogram {
        if self.reset_seen && self.no_reset_seen {
            annotate(Annotation::HintsCollide(Operation::Aggregation));
        }

        if self.bounds_differ {
            annotate(Annotation::BoundsReconciled(Operation::Aggregation));
        }

        if self.total == Total::Mean && !self.carries_mean {
            self.value.divide(self.count);
        }

        let mut total = self.value.total();
        total.compact();
        total
    }
}

/// Returns the total of all histograms, or `None` if there are none.
///
/// # Errors
/// If some have custom buckets and others do not.
pub(crate) fn total<'a>(
    total: Total,
    histograms: impl IntoIterator<Item = &'a FloatHistogram>,
    annotate: &mut dyn FnMut(Annotation<'_>),
) -> Result<Option<FloatHistogram>, MixedSchemas> {
    let mut histograms = histograms.into_iter().cloned();
    let Some(first) = histograms.next() else {
        return Ok(None);
    };
    let mut so_far = HistogramTotal::of(total, first);

    for histogram in histograms {
        so_far.add(histogram)?;
    }

    Ok(Some(so_far.finish(annotate)))
}
