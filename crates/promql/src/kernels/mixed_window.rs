//! The samples of one window, floats and histograms.

use duramen_model::FloatHistogram;

use crate::annotation::Annotation;
use crate::kernels::Window;

/// Takes what a function has to say about a window.
pub(crate) type Annotate<'a> = dyn FnMut(Annotation<'_>) + 'a;

/// One histogram of a window.
#[derive(Clone, Debug)]
pub(crate) struct HistogramPoint {
    pub(crate) ts_ms: i64,
    /// When what it counts began; 0 for unknown.
    pub(crate) start_ms: i64,
    pub(crate) histogram: FloatHistogram,
}

/// The samples of one series in one window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MixedWindow<'a> {
    pub(crate) floats: Window<'a>,
    /// When what the floats count began, 0 for unknown; none when that is not known of any.
    pub(crate) float_starts: &'a [i64],
    /// Ascending strictly by time.
    pub(crate) histograms: &'a [HistogramPoint],
    /// Of the metric, for annotations.
    pub(crate) name: &'a str,
}
