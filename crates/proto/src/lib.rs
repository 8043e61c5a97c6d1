//! The formats of Prometheus on the wire: bytes of others in, bounded and checked; bytes for others
//! out.
//!
//! - In: [`snappy`] unpacks a body, [`remote_write`] decodes it to a [`WriteRequest`] that borrows
//!   from it, within [`WriteLimits`]; [`remote_read`] decodes a query.
//! - Out: [`remote_read`] answers with samples or with [`chunk`]s; [`exposition`] is what a scrape
//!   of us gets; a [`WriteRequestEncoder`] makes requests.
//! - Under all of them: [`wire`], the fields of protobuf. [`Error`] tells senders what is wrong.

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
