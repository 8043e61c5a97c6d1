//! The wire formats of Prometheus. Decodes what others send, bounded and checked, and encodes what
//! others receive.
//!
//! - In: [`snappy`] unpacks a body, [`remote_write`] decodes it to a [`WriteRequest`] that borrows
//!   from it, within [`WriteLimits`]; [`remote_read`] decodes a query.
//! - Out: [`remote_read`] answers with samples or with [`chunk`]s; [`exposition`] is the answer to
//!   a scrape; a [`WriteRequestEncoder`] makes requests.
//! - Below all of them: [`wire`], the fields of protobuf. An [`Error`] tells senders what is wrong.

pub mod chunk;
pub mod error;
pub mod exposition;
pub mod remote_read;
pub mod remote_write;
pub mod snappy;
pub mod wire;

pub use error::Error;
pub use remote_write::{
    LabelPair, RefusedSeries, SentExemplar, SentHistogram, SentMetadata, Series, SeriesBuilder,
    SeriesFault, SeriesKeys, TypeAndUnitLabels, Version, WriteLimits, WriteRequest,
    WriteRequestBuilder, WriteRequestEncoder,
};
