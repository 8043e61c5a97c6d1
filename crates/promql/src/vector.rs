//! The form of an instant vector over a grid: one row is one series, one cell is one step.
//!
//! - `schema`: the columns.
//! - `cell`: what stands in a cell, and a sample that was taken out of one.
//! - `builder`: rows into batches; `histograms` for the sparse lists beside the floats.
//! - `batch`: batches as rows again.

mod batch;
mod builder;
mod cell;
mod histograms;
mod schema;

pub(crate) use batch::{Row, Vector, VectorBatch};
pub(crate) use builder::VectorBuilder;
pub(crate) use cell::{Cell, Sample, decoded};
pub(crate) use histograms::{HistogramColumns, HistogramRow};
pub(crate) use schema::{cells_column, downcast, schema};
