//! The Prometheus wire formats: bounded decoders for what comes from outside, encoders for what we
//! send.

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
