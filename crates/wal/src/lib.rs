//! The write-ahead log: segment format, writer, reader, trim.
//!
//! A [`Wal`] is one directory of segment files and has one owner. It is synchronous: every call may
//! block on the disk, so it belongs on a thread of its own. All input and output goes through
//! [`duramen_runtime::Disk`]. The bytes are described in `docs/formats/wal.md`.
//!
//! - [`Wal::open`] replays what is there and starts a new segment.
//! - [`Wal::append`] takes records into memory, [`Wal::sync`] makes all of them durable with one
//!   write and one fdatasync.
//! - [`reread`] hands records over once more while the log is in use.
//! - [`Wal::rotate`] starts the next segment, [`Wal::trim`] deletes those that are no longer
//!   needed.

mod config;
mod error;
mod frame;
mod header;
mod payload;
mod position;
mod record;
mod replay;
mod report;
mod reread;
mod runs;
mod sections;
mod segments;
mod values;
mod varint;
mod wal;

pub use config::Config;
pub use error::{ApplyError, Error, Result};
pub use position::{Position, SegmentId};
pub use record::{ExemplarRow, HistogramRow, OwnedRecord, WriteRecord};
pub use replay::Entry;
pub use report::{Damage, Reason, ReplayReport, TornTail};
pub use reread::reread;
pub use wal::{SegmentInfo, Wal};
