//! A native histogram as it was sent, bit for bit.

/// The schema of a histogram whose bucket bounds are given one by one (`custom_values`), and not by
/// a power of two.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// Whether a counter histogram began anew with this sample, as far as the sender knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ResetHint {
    /// To be found out by comparing with the sample before.
    #[default]
    Unknown,
    Reset,
    NotReset,
    /// A gauge histogram: nothing counts up, nothing resets.
    Gauge,
}

/// A run of buckets that follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Buckets between the run before and this one; for the first run, the index of its first
    /// bucket.
    pub offset: i32,
    /// How many buckets.
    pub length: u32,
}

/// The counts of all buckets. `positive` and `negative` have one element for each bucket of the
/// spans of that side.
#[derive(Clone, Debug)]
pub enum Counts {
    /// Buckets as the difference to the bucket before; the first one to 0.
    Integer {
        count: u64,
        zero_count: u64,
        positive: Vec<i64>,
        negative: Vec<i64>,
    },
    /// Buckets as absolute counts.
    Float {
        count: f64,
        zero_count: f64,
        positive: Vec<f64>,
        negative: Vec<f64>,
    },
}

/// One histogram. Equal when all bits are: `sum` may be the stale marker ([`crate::is_stale`]),
/// which ends the series.
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
    /// Upper bounds of custom buckets, ascending, `+Inf` left out; empty with any other schema.
    pub custom_values: Vec<f64>,
}

impl Histogram {
    /// Whether the series ended here.
    pub const fn is_stale(&self) -> bool {
        crate::is_stale(self.sum)
    }
}
