//! The write-ahead log. Records come in and become durable in segments; after a start they come out
//! again.
//!
//! A [`Wal`] is one directory of segment files and has one owner. It is synchronous: every call may
//! block on the disk, so it belongs on a thread of its own. All input and output goes through
//! [`duramen_runtime::Disk`]. `docs/formats/wal.md` describes the bytes.
//!
//! - [`Wal::append`] takes records into memory: `payload` packs a [`WriteRecord`] (with `runs`,
//!   `values`, `sections`, `varint`), and `frame` puts length and checksum around it. [`Wal::sync`]
//!   makes all of them durable with one write and one fdatasync.
//! - [`Wal::rotate`] starts the next segment (`segments`, each with a `header`). [`Wal::trim`]
//!   deletes segments that are no longer needed.
//! - [`Wal::open`] replays the segments (`replay`; `ahead` decodes them on a
//!   thread of its own) and starts a new one. The [`ReplayReport`] lists
//!   damage. [`reread`] hands records over once more while the log is in use.
//!
//! The names: a *record* is one write, a *frame* is its bytes in the log, a *segment* is a file of
//! frames, and the *log* is all segments of one writer. A [`Position`] is the number of a record in
//! the log.

mod ahead;
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
pub use wal::{SegmentInfo, Wal, bytes_in};
