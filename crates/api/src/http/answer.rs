//! What is answered.
//!
//! Values become JSON in [`json`], numbers and times in [`number`], the series of a range in
//! [`matrix`]; a document goes out through [`pieces`]. Errors are [`failure`] in the envelope of the
//! API and [`text_failure`] elsewhere, both with the status that [`statuses`] says.

pub(crate) mod failure;
pub(crate) mod json;
mod matrix;
pub(crate) mod number;
pub(crate) mod pieces;
pub(crate) mod statuses;
pub(crate) mod text_failure;
