//! The form of an instant vector over a grid: a row is a series, a cell is a step.
//!
//! - `schema`: the columns.
//! - `cell`: the content of a cell, and a sample taken out of one.
//! - `builder`: makes batches of rows; `histograms` holds the sparse lists beside the floats.
//! - `batch`: reads rows of batches.

mod batch;
mod builder;
mod cell;
mod histograms;
mod schema;

pub(crate) use batch::{Row, Vector, VectorBatch};
pub(crate) use builder::{VectorBuilder, ones};
pub(crate) use cell::{Cell, Sample, decoded};
pub(crate) use histograms::{HistogramColumns, HistogramRow};
pub(crate) use schema::{cells_column, downcast, schema};
