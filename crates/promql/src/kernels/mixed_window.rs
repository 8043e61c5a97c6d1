//! The samples of one window, floats and histograms.

use duramen_model::FloatHistogram;

use crate::annotation::Annotation;
use crate::kernels::Window;

/// Receives the annotations of a function about a window.
pub(crate) type Annotate<'a> = dyn FnMut(Annotation<'_>) + 'a;

/// One histogram of a window.
#[derive(Clone, Debug)]
pub(crate) struct HistogramPoint {
    pub(crate) ts_ms: i64,
    /// The start time of the counter; 0 means unknown.
    pub(crate) start_ms: i64,
    pub(crate) histogram: FloatHistogram,
}

/// The samples of one series in one window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MixedWindow<'a> {
    pub(crate) floats: Window<'a>,
    /// The start times of the floats; 0 means unknown. Empty if all are unknown.
    pub(crate) float_starts: &'a [i64],
    /// Strictly ascending by time.
    pub(crate) histograms: &'a [HistogramPoint],
    /// The name of the metric, for annotations.
    pub(crate) name: &'a str,
}
