//! Remote read: `prometheus.ReadRequest` and the two forms of its answer.

pub mod answer;
mod frames;
pub(crate) mod histogram;
mod labels;
mod request;
mod samples;

pub use frames::{FRAME_BYTES, SeriesFrames};
pub use request::{ReadLimits, ReadQuery, ReadRequest, ResponseType, Wanted};
pub use samples::{ReadResponseEncoder, TimeSeriesEncoder};
