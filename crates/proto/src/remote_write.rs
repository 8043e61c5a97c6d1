//! Remote write 1.0 (`prometheus.WriteRequest`) and 2.0 (`io.prometheus.write.v2.Request`), decoded
//! to one form.
//!
//! The decoders walk the whole body once before anything of it is used, so that a body that is
//! broken anywhere changes nothing. They borrow labels, histograms and text from the body and copy
//! samples into flat columns: 16 bytes a sample. [`WriteLimits`] bounds what a body may become.
//!
//! Other protocols build the same form with [`WriteRequestBuilder`].
//!
//! `v1` and `v2` read a body into a `request`: `labels`, `histogram`, `exemplar`, `metadata` and
//! `type_and_unit` are its parts, `refused` what 2.0 leaves out. `keys` tells series apart by the
//! bytes of their labels. `builder` makes a request for other protocols, `encoder` a body.

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
