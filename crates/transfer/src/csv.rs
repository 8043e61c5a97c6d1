//! CSV: a row for each sample.
//!
//! ```text
//! __name__,job,time,value,histogram
//! up,api,1700000000000,1,
//! latency,api,1700000000000,,"{""schema"":2,...}"
//! ```
//!
//! [`writer`] writes it, and [`reader`] reads it, or any other CSV whose columns a [`mapping`]
//! names. Labels are columns, or one column of JSON (see `label_columns`); a label that a series
//! does not have is empty. A time is in milliseconds, or as RFC 3339. A value has all its bits (see
//! `number`). A native histogram is JSON (see `histogram_text`), and its value is empty.

pub mod mapping;
pub mod reader;
pub mod writer;

pub use mapping::{Mapped, Mapping, TimeFormat};
pub use reader::CsvReader;
pub use writer::CsvForm;
