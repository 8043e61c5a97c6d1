//! The result of checking a request.

use crate::head::{Rows, SlotPin};
use crate::rejection::Rejections;

/// The rows that may be stored, and the rejections.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    pub(crate) rows: Rows,
    /// The number of families whose metadata was accepted, new or not.
    pub(crate) families: usize,
    pub(crate) rejected: Rejections,
    pub(crate) lost_exemplars: Rejections,
    pub(crate) lost_metadata: Rejections,
    /// While this lives, the series of the rows keep their numbers.
    pub(crate) pin: Option<SlotPin>,
}
