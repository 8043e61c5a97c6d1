//! Native histograms as they are sent and kept.
//!
//! A [`Histogram`] keeps what a sender wrote, bit for bit: integer or float counts, the spans as
//! the sender cut them, the reset hint. A query calculates with a [`FloatHistogram`].
//!
//! `value` holds the histogram as sent, `bytes` is its encoded form, `validate` refuses invalid
//! ones. `float` is the form for calculations: `bounds` and `buckets` compute where its buckets
//! lie, `reconcile` adds and subtracts histograms of different layouts, `sum` adds many, `reset`
//! detects counter resets.

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
