//! Samples and the marks among their values.

/// The bits of a stale marker: the series ended here. It is not the NaN that a target may expose,
/// which is data.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The stale marker as a value. Compare by bits ([`is_stale`]): a NaN equals nothing.
pub const STALE_NAN: f64 = f64::from_bits(STALE_NAN_BITS);

/// Whether `value` is the stale marker, bit for bit.
#[inline]
pub const fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// One value at one time. Values are equal when their bits are: a NaN, a stale marker and -0.0 are
/// kept as sent.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub ts_ms: i64,
    pub value: f64,
}

impl Sample {
    pub const fn new(ts_ms: i64, value: f64) -> Self {
        Self { ts_ms, value }
    }
}

impl PartialEq for Sample {
    fn eq(&self, other: &Self) -> bool {
        self.ts_ms == other.ts_ms && self.value.to_bits() == other.value.to_bits()
    }
}
impl Eq for Sample {}

/// What a sample may say beside its time and value. A float and a histogram can carry it alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Life {
    /// When what is counted began, in milliseconds; 0 when the sender does not say (so the wire has
    /// it).
    pub start_ms: i64,
    /// How long the sample stands for its series, in milliseconds, instead of the look-back; 0 for
    /// the look-back. A sample at `ts` stands in `[ts, ts + ttl_ms)`.
    pub ttl_ms: i64,
}

impl Life {
    /// Nothing said.
    pub const NONE: Self = Self {
        start_ms: 0,
        ttl_ms: 0,
    };

    /// Whether a sample at `ts_ms` still stands at `at_ms`: for its own life span, or for the
    /// look-back if it has none.
    pub const fn stands(self, ts_ms: i64, at_ms: i64, lookback_ms: i64) -> bool {
        let span_ms = if self.ttl_ms == 0 {
            lookback_ms
        } else {
            self.ttl_ms
        };

        ts_ms.saturating_add(span_ms) > at_ms
    }
}
