//! What is left of a request that was checked.

use crate::head::{Rows, SlotPin};
use crate::rejection::Rejections;

/// What may be stored.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    pub(crate) rows: Rows,
    /// Families that were told of, whether that is news or not.
    pub(crate) families: usize,
    pub(crate) rejected: Rejections,
    pub(crate) lost_exemplars: Rejections,
    pub(crate) lost_metadata: Rejections,
    /// The series of the rows keep their numbers for as long as it lives.
    pub(crate) pin: Option<SlotPin>,
}
