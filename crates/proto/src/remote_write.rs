//! Remote write 1.0 (`prometheus.WriteRequest`) and 2.0 (`io.prometheus.write.v2.Request`), decoded
//! to one form.
//!
//! The decoders read the whole body before any part of it is used, so that a broken body changes
//! nothing. They borrow labels, histograms and text from the body, and copy samples into flat
//! columns of 16 bytes per sample. [`WriteLimits`] bounds the memory of a decoded body.
//!
//! Other protocols build the same form with [`WriteRequestBuilder`].
//!
//! `v1` and `v2` decode a body to a `request`, within `limits`. Its parts are `labels`,
//! `histogram`, `exemplar`, `metadata` and `type_and_unit`; `refused` holds the series of 2.0 that
//! are left out. `keys` identifies series by the bytes of their labels. `builder` makes a request
//! for other protocols, and `encoder` makes a body.

mod builder;
mod encoder;
mod exemplar;
mod histogram;
mod keys;
mod labels;
mod limits;
mod metadata;
mod refused;
mod request;
#[cfg(test)]
mod tests;
mod type_and_unit;
mod v1;
mod v2;
mod version;

pub use builder::{SeriesBuilder, WriteRequestBuilder};
pub use encoder::WriteRequestEncoder;
pub use exemplar::SentExemplar;
pub use histogram::SentHistogram;
pub use keys::SeriesKeys;
pub use labels::LabelPair;
pub use limits::WriteLimits;
pub use metadata::SentMetadata;
pub use refused::{RefusedSeries, SeriesFault};
pub use request::{Series, WriteRequest};
pub use type_and_unit::TypeAndUnitLabels;
pub use version::Version;
