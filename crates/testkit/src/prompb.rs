//! The messages of remote write as the public definitions in `proto/` have them, encoded and decoded by prost: what our own decoders are
//! held against.
//!
//! The modules are generated; the test `prompb` compares them with the definitions and writes them anew with `DURAMEN_BLESS`.

pub use prost::Message;

/// Remote write 1.0.
#[rustfmt::skip]
#[path = "prompb/prometheus.rs"]
pub mod v1;

/// Remote write 2.0.
#[rustfmt::skip]
#[path = "prompb/io.prometheus.write.v2.rs"]
pub mod v2;
