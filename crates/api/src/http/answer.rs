//! Answers and errors.
//!
//! Numbers and times become text in [`number`], values become JSON in [`json`], the series of a
//! range in [`matrix`]. [`envelope`] makes an answer of the API of them, and [`pieces`] sends it.
//! Errors are [`failure`] in the envelope of the API and [`text_failure`] elsewhere. Both take their
//! status from [`statuses`].

pub(crate) mod envelope;
pub(crate) mod failure;
pub(crate) mod json;
mod matrix;
pub(crate) mod number;
pub(crate) mod pieces;
pub(crate) mod statuses;
pub(crate) mod text_failure;
