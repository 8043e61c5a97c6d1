//! One series of the series file.

use duramen_model::Labels;

use crate::layout::rows::SeriesRows;

/// A series that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundSeries {
    /// The labels in encoded form.
    pub(crate) labels: Box<[u8]>,
    pub(crate) rows: SeriesRows,
}

impl FoundSeries {
    pub(crate) fn labels(&self) -> Labels {
        Labels::from_encoded_trusted(&self.labels)
    }
}

/// One row of the series file.
pub(crate) struct Row<'a> {
    /// The labels in encoded form.
    pub(crate) labels: &'a [u8],
    pub(crate) rows: SeriesRows,
}
