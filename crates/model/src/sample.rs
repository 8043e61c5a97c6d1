//! Samples and the marks among their values.

/// The bits of a stale marker: the series ended here. It is not the NaN that a target may expose, which is data.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The stale marker as a value. Compare by bits ([`is_stale`]): a NaN equals nothing.
pub const STALE_NAN: f64 = f64::from_bits(STALE_NAN_BITS);

/// Whether `value` is the stale marker, bit for bit.
#[inline]
pub const fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// One value at one time. Values are equal when their bits are: a NaN, a stale marker and -0.0 are kept as sent.
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
