//! Native histograms as they are sent and kept.
//!
//! A [`Histogram`] keeps what a sender wrote, bit for bit: integer or float counts, spans as they
//! were cut, the reset hint. What a query calculates with is a [`FloatHistogram`].
//!
//! `value` is what was sent, `bytes` the form in which it is kept and passed on, `validate` what a
//! sender may not send. `float` is what queries calculate with: `bounds` and `buckets` say where
//! its buckets lie, `reconcile` adds and subtracts across layouts, `sum` adds many, `reset` tells
//! when a counter began anew.

mod bounds;
mod buckets;
mod bytes;
mod float;
mod reconcile;
mod reset;
mod sum;
mod validate;
mod value;

pub use buckets::{Bucket, BucketBounds};
pub use float::{BucketCount, FloatHistogram};
pub use reconcile::{MixedSchemas, Reconciled};
pub use sum::HistogramSum;
pub use validate::{InvalidHistogram, SCHEMA_REDUCIBLE_MAX, SCHEMAS};
pub use value::{CUSTOM_BUCKETS_SCHEMA, Counts, Histogram, ResetHint, Span};
