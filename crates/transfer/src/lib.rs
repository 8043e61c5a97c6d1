//! In and out: series in the forms of others.
//!
//! Out: an [`Export`] reads any source, which answers as a query does, window by window, and puts
//! series by series into a [`Form`]. A form writes to an [`Output`] or a directory, whose name is
//! there only when it is complete.
//!
//! - `window`: the windows of time that an export is cut into.
//! - [`export`]: reads and counts. [`form`]: what a form takes.
//! - [`openmetrics`], [`csv`], [`parquet`], [`tsdb`]: the forms, each with what is written and what
//!   is read.
//! - [`output`]: a file that is complete or not there, or a pipe.
//!
//! In: a [`Reader`] takes an input piece by piece, within limits. A [`Run`] is what one stretch of
//! it says, and its digest. A [`SortedRun`] has it in the order of our blocks, and writes them.
//!
//! - [`remote_read`]: asks a running server, and makes a run of its answer.
//! - `lines`: lines of bounded length. `labels`: which labels are taken.
//! - [`run`], [`sorted`]: a stretch of the input, as it came and in order.
//!
//! `number`, `histogram_text` and `label_columns` are what several forms have in common. What is
//! read is input from outside: it gives an error that names the line, and no memory is taken for
//! what is merely claimed.

pub mod csv;
pub mod error;
pub mod export;
pub mod form;
mod histogram_text;
mod label_columns;
mod labels;
mod lines;
mod number;
pub mod openmetrics;
pub mod output;
pub mod parquet;
pub mod remote_read;
pub mod run;
pub mod sorted;
pub mod tsdb;
mod window;

pub use error::Error;
pub use export::{Export, Progress};
pub use form::{Form, LabelsAs, SeriesRows, Written};
pub use output::Output;
pub use run::{Reader, Run, RunLimits};
pub use sorted::{RunReport, SortedRun};
