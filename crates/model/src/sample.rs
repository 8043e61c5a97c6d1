//! Samples and their special values.

/// The bits of the stale marker, which ends a series. A NaN that a target exposes has other bits
/// and is data.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The stale marker as a value. Compare it by its bits ([`is_stale`]), because a NaN equals
/// nothing.
pub const STALE_NAN: f64 = f64::from_bits(STALE_NAN_BITS);

/// Whether `value` is the stale marker, bit for bit.
#[inline]
pub const fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// One value at one time. Two values are equal when their bits are equal. NaN, the stale marker and
/// -0.0 are kept as sent.
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

/// The start time and the life span that a sender may add to a sample, to a float as well as to a
/// histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Life {
    /// When the counter started, in milliseconds; 0 when the sender does not say, as on the wire.
    pub start_ms: i64,
    /// How long the sample is valid, in milliseconds: from `ts` up to, but not including, `ts +
    /// ttl_ms`. 0 means that the look-back applies instead.
    pub ttl_ms: i64,
}

impl Life {
    /// Neither a start time nor a life span.
    pub const NONE: Self = Self {
        start_ms: 0,
        ttl_ms: 0,
    };

    /// Whether a sample of time `ts_ms` is still valid at `at_ms`. A sample without a life span is
    /// valid for the look-back.
    pub const fn stands(self, ts_ms: i64, at_ms: i64, lookback_ms: i64) -> bool {
        let span_ms = if self.ttl_ms == 0 {
            lookback_ms
        } else {
            self.ttl_ms
        };

        ts_ms.saturating_add(span_ms) > at_ms
    }
}
