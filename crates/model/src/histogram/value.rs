//! A native histogram as it was sent, bit for bit.

/// The schema of a histogram whose bucket bounds are listed in `custom_values`, instead of being
/// powers of two.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// What the sender knows about a counter reset before this sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ResetHint {
    /// Unknown: the reader compares the histogram with the one before.
    #[default]
    Unknown,
    Reset,
    NotReset,
    /// A gauge histogram, which has no resets.
    Gauge,
}

/// A run of consecutive buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The number of buckets between the previous run and this one. For the first run, it is the
    /// index of its first bucket.
    pub offset: i32,
    /// The number of buckets.
    pub length: u32,
}

/// The counts of all buckets. `positive` and `negative` have one element for each bucket in the
/// spans of that side.
#[derive(Clone, Debug)]
pub enum Counts {
    /// Integer counts. Each bucket is the difference to the bucket before, the first one to 0.
    Integer {
        count: u64,
        zero_count: u64,
        positive: Vec<i64>,
        negative: Vec<i64>,
    },
    /// Float counts. Each bucket is an absolute count.
    Float {
        count: f64,
        zero_count: f64,
        positive: Vec<f64>,
        negative: Vec<f64>,
    },
}

/// One histogram. Two are equal when all their bits are equal. The `sum` may be the stale marker
/// ([`crate::is_stale`]), which ends the series.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// -4..=8 with base `2^(2^-schema)`, or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    pub hint: ResetHint,
    pub sum: f64,
    /// The zero bucket is `[-zero_threshold, zero_threshold]`.
    pub zero_threshold: f64,
    pub counts: Counts,
    pub positive_spans: Vec<Span>,
    pub negative_spans: Vec<Span>,
    /// The upper bounds of custom buckets, ascending, without `+Inf`; empty with any other schema.
    pub custom_values: Vec<f64>,
}

impl Histogram {
    /// Whether this is the stale marker, which ends the series.
    pub const fn is_stale(&self) -> bool {
        crate::is_stale(self.sum)
    }
}
