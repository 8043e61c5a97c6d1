//! Chunks of native histograms.
//!
//! ```text
//! chunk  := samples:u16be reset:u8 layout first next*
//! reset  := 0x00 unknown | 0x40 no reset before the chunk | 0x80 a reset before it | 0xc0 gauges
//! first  := ts:varbit count zero_count sum:f64 bucket*          count, zero_count: varbit, bucket: varbit; or all three f64
//! next   := ts:delta  count zero_count sum:xored bucket*        all three delta; or all three xored
//! ```
//!
//! The layout defines the buckets; the positive side comes first. A stale marker ends after `sum`
//! and has no buckets.

use duramen_model::{Counts, Histogram, ResetHint};

use super::bits::{BitReader, BitWriter};
use super::delta::Delta;
use super::floats::with_count;
use super::layout::Layout;
use super::varbit::{put_int, put_uint, take_int, take_uint};
use super::xor::Xored;
use super::{Chunk, Encoding, Misfit, SAMPLES_MAX};

/// What is known about a counter reset between the previous chunk and this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reset {
    Unknown = 0x00,
    No = 0x40,
    Yes = 0x80,
    Gauge = 0xc0,
}

impl Reset {
    const fn of(byte: u64) -> Self {
        match byte & 0xc0 {
            0x00 => Self::Unknown,
            0x40 => Self::No,
            0x80 => Self::Yes,
            _ => Self::Gauge,
        }
    }
}

/// An unfinished chunk of histograms, with at least one sample.
#[derive(Clone, Debug)]
pub(super) struct HistogramChunk {
    out: BitWriter,
    samples: u16,
    first_ms: i64,
    reset: Reset,
    layout: Layout,
    ts: Delta,
    sum: Xored,
    state: State,
}

/// The counts of the previous histogram. Integer buckets are kept as they are written: as the
/// difference to the bucket before.
#[derive(Clone, Debug)]
enum State {
    Integer {
        count: Delta,
        zero_count: Delta,
        buckets: Vec<Delta>,
    },
    Float {
        count: Xored,
        zero_count: Xored,
        buckets: Vec<Xored>,
    },
}

impl HistogramChunk {
    pub(super) fn begin(ts_ms: i64, histogram: &Histogram, reset: Reset) -> Result<Self, Misfit> {
        let layout = Layout::of(histogram)?;
        let mut out = BitWriter::behind(vec![0, 0, reset as u8]);
        layout.put(&mut out);
        put_int(&mut out, ts_ms);

        let stale = histogram.is_stale();
        let state = match &histogram.counts {
            Counts::Integer { .. } if stale => {
                Self::put_first_integer(&mut out, (0, 0), histogram.sum, &[])
            }
            Counts::Integer {
                count,
                zero_count,
                positive,
                negative,
            } => {
                let buckets = [positive.as_slice(), negative.as_slice()].concat();
                Self::put_first_integer(&mut out, (*count, *zero_count), histogram.sum, &buckets)
            }
            Counts::Float { .. } if stale => {
                Self::put_first_float(&mut out, (0.0, 0.0), histogram.sum, &[])
            }
            Counts::Float {
                count,
                zero_count,
                positive,
                negative,
            } => {
                let buckets = [positive.as_slice(), negative.as_slice()].concat();
                Self::put_first_float(&mut out, (*count, *zero_count), histogram.sum, &buckets)
            }
        };

        let ts = Delta::new(ts_ms);
        let sum = Xored::new(histogram.sum);

        Ok(Self {
            out,
            samples: 1,
            first_ms: ts_ms,
            reset,
            layout,
            ts,
            sum,
            state,
        })
    }

    fn put_first_integer(
        out: &mut BitWriter,
        (count, zero_count): (u64, u64),
        sum: f64,
        buckets: &[i64],
    ) -> State {
        put_uint(out, count);
        put_uint(out, zero_count);
        out.put_f64(sum);

        for bucket in buckets {
            put_int(out, *bucket);
        }

        let delta = |count: u64| Delta::new(count.cast_signed());
        let buckets = buckets.iter().copied().map(Delta::new).collect();

        State::Integer {
            count: delta(count),
            zero_count: delta(zero_count),
            buckets,
        }
    }

    fn put_first_float(
        out: &mut BitWriter,
        (count, zero_count): (f64, f64),
        sum: f64,
        buckets: &[f64],
    ) -> State {
        for value in [&[count, zero_count, sum], buckets].concat() {
            out.put_f64(value);
        }

        let buckets = buckets.iter().copied().map(Xored::new).collect();
        State::Float {
            count: Xored::new(count),
            zero_count: Xored::new(zero_count),
            buckets,
        }
    }

    pub(super) const fn is_full(&self) -> bool {
        self.samples == SAMPLES_MAX
    }

    /// Checks whether `next` may be added to this chunk, apart from the chunk being full. An error
    /// is the reset of the next chunk, which `next` must begin.
    ///
    /// A reader assumes that no histogram of a chunk, except the first, has a reset before it. So
    /// there must be none.
    pub(super) fn takes(&self, next: &Histogram) -> Result<(), Reset> {
        if next.hint == ResetHint::Gauge {
            let fits =
                self.reset == Reset::Gauge && self.is_same_kind(next) && self.takes_layout(next);
            return if fits { Ok(()) } else { Err(Reset::Gauge) };
        }

        if next.hint == ResetHint::Reset {
            return Err(Reset::Yes);
        }

        if self.reset == Reset::Gauge || !self.is_same_kind(next) {
            return Err(Reset::Unknown);
        }

        if next.is_stale() {
            return Ok(());
        }

        if duramen_model::is_stale(self.sum.value()) {
            return Err(Reset::Unknown);
        }

        if self.counts_down(next) {
            return Err(Reset::Yes);
        }

        if !self.layout.is_of(next) {
            return Err(Reset::Unknown);
        }

        if self.buckets_count_down(next) {
            return Err(Reset::Yes);
        }

        Ok(())
    }

    const fn is_same_kind(&self, next: &Histogram) -> bool {
        matches!(
            (&self.state, &next.counts),
            (State::Integer { .. }, Counts::Integer { .. })
                | (State::Float { .. }, Counts::Float { .. })
        )
    }

    fn takes_layout(&self, next: &Histogram) -> bool {
        next.is_stale() || (!duramen_model::is_stale(self.sum.value()) && self.layout.is_of(next))
    }

    /// Whether the count of `next` is lower than that of the last histogram.
    fn counts_down(&self, next: &Histogram) -> bool {
        match (&self.state, &next.counts) {
            (State::Integer { count, .. }, Counts::Integer { count: next, .. }) => {
                *next < count.value().cast_unsigned()
            }
            (State::Float { count, .. }, Counts::Float { count: next, .. }) => {
                *next < count.value()
            }
            _ => false,
        }
    }

    /// Whether the zero bucket or another bucket is lower than in the last histogram. Both must
    /// have the same layout.
    fn buckets_count_down(&self, next: &Histogram) -> bool {
        match (&self.state, &next.counts) {
            (
                State::Integer {
                    zero_count,
                    buckets,
                    ..
                },
                Counts::Integer {
                    zero_count: zero,
                    positive,
                    negative,
                    ..
                },
            ) => {
                let positive_buckets = positive.len().min(buckets.len());
                let (last_positive, last_negative) = buckets.split_at(positive_buckets);

                *zero < zero_count.value().cast_unsigned()
                    || integers_count_down(last_positive, positive)
                    || integers_count_down(last_negative, negative)
            }
            (
                State::Float {
                    zero_count,
                    buckets,
                    ..
                },
                Counts::Float {
                    zero_count: zero,
                    positive,
                    negative,
                    ..
                },
            ) => {
                let next = positive.iter().chain(negative);
                *zero < zero_count.value()
                    || buckets
                        .iter()
                        .zip(next)
                        .any(|(last, next)| *next < last.value())
            }
            _ => false,
        }
    }

    /// Appends a histogram that the chunk [takes](HistogramChunk::takes).
    pub(super) fn push(&mut self, ts_ms: i64, histogram: &Histogram) {
        self.ts.put(&mut self.out, ts_ms);

        if histogram.is_stale() {
            self.put_stale(histogram.sum);
        } else {
            self.put_counts(histogram);
        }

        self.samples += 1;
    }

    fn put_stale(&mut self, sum: f64) {
        let out = &mut self.out;

        match &mut self.state {
            // Both counts are written as "the same change as before". They mean nothing, and after
            // a stale marker only stale markers can follow.
            State::Integer { .. } => out.put(0, 2),
            State::Float {
                count, zero_count, ..
            } => {
                count.put(out, 0.0);
                zero_count.put(out, 0.0);
            }
        }

        self.sum.put(out, sum);
    }

    fn put_counts(&mut self, histogram: &Histogram) {
        let out = &mut self.out;

        match (&mut self.state, &histogram.counts) {
            (
                State::Integer {
                    count,
                    zero_count,
                    buckets,
                },
                Counts::Integer {
                    count: c,
                    zero_count: z,
                    positive,
                    negative,
                },
            ) => {
                count.put(out, c.cast_signed());
                zero_count.put(out, z.cast_signed());
                self.sum.put(out, histogram.sum);

                for (bucket, value) in buckets.iter_mut().zip(positive.iter().chain(negative)) {
                    bucket.put(out, *value);
                }
            }
            (
                State::Float {
                    count,
                    zero_count,
                    buckets,
                },
                Counts::Float {
                    count: c,
                    zero_count: z,
                    positive,
                    negative,
                },
            ) => {
                count.put(out, *c);
                zero_count.put(out, *z);
                self.sum.put(out, histogram.sum);

                for (bucket, value) in buckets.iter_mut().zip(positive.iter().chain(negative)) {
                    bucket.put(out, *value);
                }
            }
            _ => unreachable!("a chunk takes histograms of one kind"),
        }
    }

    pub(super) fn finish(self) -> Chunk {
        let encoding = match self.state {
            State::Integer { .. } => Encoding::Histogram,
            State::Float { .. } => Encoding::FloatHistogram,
        };

        let data = with_count(self.out.into_bytes(), self.samples);
        Chunk {
            encoding,
            first_ms: self.first_ms,
            last_ms: self.ts.value(),
            data,
        }
    }
}

/// Whether a bucket of `next` is lower than that of `last`. Buckets are differences to the bucket
/// before.
fn integers_count_down(last: &[Delta], next: &[i64]) -> bool {
    let mut last_count = 0i64;
    let mut next_count = 0i64;

    last.iter().zip(next).any(|(last, next)| {
        last_count = last_count.wrapping_add(last.value());
        next_count = next_count.wrapping_add(*next);
        next_count < last_count
    })
}

/// The type of the counts in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Float,
}

/// Decodes `samples` histograms from the bytes after the count. Returns `None` when the bytes are
/// not a chunk.
pub(super) fn decode(samples: u16, kind: Kind, data: &[u8]) -> Option<Vec<(i64, Histogram)>> {
    let mut input = BitReader::new(data);
    let reset = Reset::of(input.take(8)?);
    let layout = Layout::take(&mut input)?;
    let mut decoded = Vec::new();
    let mut reader: Option<Reader> = None;

    for _ in 0..samples {
        let (ts_ms, mut histogram) = match &mut reader {
            Some(reader) => reader.next(&mut input, &layout)?,
            None => reader
                .insert(Reader::first(&mut input, &layout, kind)?)
                .current(&layout),
        };

        histogram.hint = match reset {
            Reset::Gauge => ResetHint::Gauge,
            _ if histogram.is_stale() || decoded.is_empty() => ResetHint::Unknown,
            _ => ResetHint::NotReset,
        };

        decoded.push((ts_ms, histogram));
    }

    Some(decoded)
}

/// The state after the histogram that was read last.
struct Reader {
    ts: Delta,
    sum: Xored,
    state: State,
}

impl Reader {
    fn first(input: &mut BitReader<'_>, layout: &Layout, kind: Kind) -> Option<Self> {
        let (positive, negative) = layout.buckets()?;
        let buckets = positive.checked_add(negative)?;

        if buckets > input.left() {
            return None;
        }

        let ts = Delta::new(take_int(input)?);

        match kind {
            Kind::Integer => {
                let count = take_uint(input)?;
                let zero_count = take_uint(input)?;
                let sum = Xored::new(input.f64()?);
                let buckets = (0..buckets)
                    .map(|_| take_int(input).map(Delta::new))
                    .collect::<Option<_>>()?;
                let delta = |count: u64| Delta::new(count.cast_signed());

                Some(Self {
                    ts,
                    sum,
                    state: State::Integer {
                        count: delta(count),
                        zero_count: delta(zero_count),
                        buckets,
                    },
                })
            }
            Kind::Float => {
                let count = Xored::new(input.f64()?);
                let zero_count = Xored::new(input.f64()?);
                let sum = Xored::new(input.f64()?);
                let buckets = (0..buckets)
                    .map(|_| input.f64().map(Xored::new))
                    .collect::<Option<_>>()?;

                Some(Self {
                    ts,
                    sum,
                    state: State::Float {
                        count,
                        zero_count,
                        buckets,
                    },
                })
            }
        }
    }

    fn next(&mut self, input: &mut BitReader<'_>, layout: &Layout) -> Option<(i64, Histogram)> {
        self.ts.take(input)?;

        match &mut self.state {
            State::Integer {
                count,
                zero_count,
                buckets,
            } => {
                count.take(input)?;
                zero_count.take(input)?;

                if !duramen_model::is_stale(self.sum.take(input)?) {
                    for bucket in buckets {
                        bucket.take(input)?;
                    }
                }
            }
            State::Float {
                count,
                zero_count,
                buckets,
            } => {
                count.take(input)?;
                zero_count.take(input)?;

                if !duramen_model::is_stale(self.sum.take(input)?) {
                    for bucket in buckets {
                        bucket.take(input)?;
                    }
                }
            }
        }

        Some(self.current(layout))
    }

    fn current(&self, layout: &Layout) -> (i64, Histogram) {
        let ts_ms = self.ts.value();
        let sum = self.sum.value();

        if duramen_model::is_stale(sum) {
            return (ts_ms, stale(sum, &self.state));
        }

        let positive = layout.buckets().map_or(0, |(positive, _)| positive);
        let counts = match &self.state {
            State::Integer {
                count,
                zero_count,
                buckets,
            } => {
                let mut positive_buckets: Vec<i64> =
                    buckets.iter().map(|bucket| bucket.value()).collect();
                let negative = positive_buckets.split_off(positive);

                Counts::Integer {
                    count: count.value().cast_unsigned(),
                    zero_count: zero_count.value().cast_unsigned(),
                    positive: positive_buckets,
                    negative,
                }
            }
            State::Float {
                count,
                zero_count,
                buckets,
            } => {
                let mut positive_buckets: Vec<f64> =
                    buckets.iter().map(|bucket| bucket.value()).collect();
                let negative = positive_buckets.split_off(positive);

                Counts::Float {
                    count: count.value(),
                    zero_count: zero_count.value(),
                    positive: positive_buckets,
                    negative,
                }
            }
        };

        (ts_ms, layout.histogram(sum, counts))
    }
}

/// A stale marker. Only its sum has a meaning.
fn stale(sum: f64, state: &State) -> Histogram {
    let counts = match state {
        State::Integer { .. } => Counts::Integer {
            count: 0,
            zero_count: 0,
            positive: Vec::new(),
            negative: Vec::new(),
        },
        State::Float { .. } => Counts::Float {
            count: 0.0,
            zero_count: 0.0,
            positive: Vec::new(),
            negative: Vec::new(),
        },
    };

    Layout::default().histogram(sum, counts)
}
