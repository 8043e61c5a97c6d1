//! The ingester: checks, head, write-ahead log, flush, replay.
//!
//! The life of a write: [`Ingester::write`] decodes and admits it, the commit thread logs it, syncs
//! and applies it, and then it is acknowledged. The life of a generation: open, frozen, staged,
//! committed.

mod admit;
mod build;
mod commit;
mod config;
mod error;
mod flush;
mod ha;
mod head;
mod ingester;
mod logged;
mod metrics;
mod order;
mod quarantine;
mod rebuild;
mod refusal;
mod rejection;
mod report;
mod room;
mod seen;
mod staged;
mod start;
mod windows;

pub use admit::TS_MS_MIN;
pub use config::Config;
pub use error::Error;
pub use flush::FlushReport;
pub use head::Kept;
pub use ingester::{Ingester, Turn};
pub use metrics::Metrics;
pub use rejection::{Lost, Reason, Rejections, RequestLimit};
pub use report::{Duplicates, WriteReport};
pub use start::{Parts, StartReport};
pub use windows::FLUSH_BLOCKS_MAX;
