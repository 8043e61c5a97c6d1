//! Writes a block of a TSDB, which Prometheus and its tools open.
//!
//! The chunks of series come in, in any order of series. Labels come at the end, since the index
//! begins with their texts. A directory goes out, under its name only when it is complete.
//!
//! - `put`: numbers as bytes. `output`: a file that is written from front to back.
//! - `segments`: `chunks/000001` and so on.
//! - `index`: `index`: symbols, series, postings, and the tables that find them.
//! - `block`: all of it together, with `meta.json` and an empty file of tombstones.

pub(crate) mod block;
mod index;
mod output;
mod put;
mod segments;
