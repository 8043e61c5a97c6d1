//! What a form of an export takes, and what it says at the end.

use duramen_model::{Exemplar, FamilyMetadata, Labels, TimeRange};
use duramen_source::HistogramRef;

use crate::error::Error;

/// The rows of one series in a window. Times ascend, and none is in both.
#[derive(Debug)]
pub struct SeriesRows<'a> {
    pub labels: Labels,
    pub ts_ms: &'a [i64],
    pub values: &'a [f64],
    pub histograms: &'a [HistogramRef<'a>],
    /// Empty for a form that has no place for them.
    pub exemplars: &'a [Exemplar],
}

impl SeriesRows<'_> {
    /// The error for a histogram that cannot be decoded.
    pub(crate) fn undecodable(&self) -> Error {
        Error::unfit(format!("a histogram cannot be decoded: {}", self.labels))
    }
}

/// How a form wants to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wants {
    /// Whether each series comes once, with all its rows. Otherwise it comes once for each day, and
    /// days come one after the other.
    pub whole_series: bool,
    /// Whether exemplars are read.
    pub exemplars: bool,
    /// Whether metadata is read.
    pub families: bool,
    /// Whether the names of all labels are needed before the first series.
    pub label_names: bool,
}

/// How a table holds labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelsAs {
    /// A column for each name.
    Columns,
    /// One column.
    Map,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Series, once for each window of the form.
    pub series: u64,
    pub floats: u64,
    pub histograms: u64,
    pub exemplars: u64,
    pub families: u64,
    /// Files, or blocks.
    pub files: u64,
    pub bytes: u64,
    /// What the form has no place for.
    pub left_out: LeftOut,
}

/// What a form has no place for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    pub stale_markers: u64,
    pub histograms: u64,
    pub exemplars: u64,
    /// Samples of series without a metric name.
    pub unnamed: u64,
}

/// Takes an export, series by series. All calls may block.
pub trait Form: Send {
    fn wants(&self) -> Wants;

    /// Comes first, with what [`Form::wants`] asks for.
    fn begin(&mut self, names: Vec<String>, families: Vec<FamilyMetadata>) -> Result<(), Error>;

    /// The series that come next are of this window.
    fn window(&mut self, window: TimeRange) -> Result<(), Error>;

    /// Series come in the order of our blocks, each once in a window.
    fn put(&mut self, rows: &SeriesRows<'_>) -> Result<(), Error>;

    /// What was written so far.
    fn written(&self) -> Written;

    /// Completes the output.
    fn finish(self: Box<Self>) -> Result<Written, Error>;
}
