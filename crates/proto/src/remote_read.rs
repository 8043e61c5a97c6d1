//! Remote read: `prometheus.ReadRequest` and the two forms of its answer.
//!
//! `request` decodes a request. `samples` encodes an answer of samples, and `frames` a stream of
//! chunks; `labels` and `histogram` are parts of both. `answer` decodes answers.

pub mod answer;
mod frames;
pub(crate) mod histogram;
mod labels;
mod request;
mod samples;

pub use frames::{FRAME_BYTES, SeriesFrames};
pub use request::{ReadLimits, ReadQuery, ReadRequest, ResponseType, Wanted};
pub use samples::{ReadResponseEncoder, TimeSeriesEncoder};
