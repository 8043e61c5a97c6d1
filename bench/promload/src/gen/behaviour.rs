//! How the values of a group of series go on from scrape to scrape.

use super::random::Random;

/// One scrape gives one value for each series of the group.
#[derive(Debug)]
pub(super) enum Behaviour {
    Constant(f64),
    /// 1, and 0 when the scrape is missed.
    Up,
    /// A counter of things: `rate` per second, each of about `unit`. Bursts when `burst`.
    Count {
        rate: f64,
        unit: f64,
        value: f64,
        burst: bool,
    },
    /// A counter of seconds, in ticks of which there are `ticks_per_s`.
    Seconds {
        rate: f64,
        ticks_per_s: f64,
        ticks: f64,
    },
    /// A walk over integers between `low` and `high`, times `unit`; it moves with the probability
    /// `moves`.
    Walk {
        value: f64,
        low: f64,
        high: f64,
        step: f64,
        moves: f64,
        unit: f64,
    },
    /// A reading with few decimals, which returns to its mean and follows the load of the day.
    Reading {
        mean: f64,
        daily: f64,
        offset: f64,
        noise: f64,
        scale: f64,
    },
    /// A number between 0 and 1 with a full mantissa, which returns to its mean.
    Ratio {
        mean: f64,
        value: f64,
        noise: f64,
    },
    /// A new duration at each scrape, to the nanosecond.
    Noise {
        mean: f64,
    },
    /// The time of the scrape in seconds, less up to `lag`.
    Clock {
        lag: f64,
    },
    Histogram(Histogram),
    Summary(Summary),
}

/// When a target is scraped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scrape {
    pub(super) time_s: f64,
    pub(super) interval_s: f64,
    /// How busy things are; 1 on average.
    pub(super) load: f64,
}

impl Behaviour {
    /// Moves on to `scrape` and appends its values.
    pub(super) fn step(&mut self, random: &mut Random, scrape: Scrape, out: &mut Vec<f64>) {
        let Scrape {
            time_s,
            interval_s,
            load,
        } = scrape;

        let value = match self {
            Self::Constant(value) => *value,
            Self::Up => 1.0,
            Self::Count {
                rate,
                unit,
                value,
                burst,
            } => {
                let mut mean = *rate * interval_s * load;
                if *burst {
                    mean *= (0.5 * random.normal()).exp();
                }

                *value += amount(random.poisson(mean) as f64, *unit, random);
                *value
            }
            Self::Seconds {
                rate,
                ticks_per_s,
                ticks,
            } => {
                let mean = *rate * interval_s * load * *ticks_per_s;
                *ticks += if mean < 20.0 {
                    random.poisson(mean) as f64
                } else {
                    (mean * (1.0 + 0.15 * random.normal()).max(0.0)).round()
                };

                *ticks / *ticks_per_s
            }
            Self::Walk {
                value,
                low,
                high,
                step,
                moves,
                unit,
            } => {
                if random.unit() < *moves {
                    *value = (*value + (random.normal() * *step).round()).clamp(*low, *high);
                }

                *value * *unit
            }
            Self::Reading {
                mean,
                daily,
                offset,
                noise,
                scale,
            } => {
                *offset = 0.95 * *offset + random.normal() * *noise;
                ((*mean + *daily * (load - 1.0) * 2.5 + *offset) * *scale).round() / *scale
            }
            Self::Ratio { mean, value, noise } => {
                *value =
                    (*value + 0.1 * (*mean - *value) + random.normal() * *noise).clamp(0.0, 1.0);
                *value
            }
            Self::Noise { mean } => (*mean * (0.25 * random.normal()).exp() * 1e9).round() / 1e9,
            Self::Clock { lag } => clock(time_s, *lag, random),
            Self::Histogram(histogram) => return histogram.step(random, interval_s * load, out),
            Self::Summary(summary) => return summary.step(random, interval_s, load, out),
        };

        out.push(value);
    }

    /// The process has restarted: counters begin at zero again.
    pub(super) fn reset(&mut self) {
        match self {
            Self::Count { value, .. } => *value = 0.0,
            Self::Seconds { ticks, .. } => *ticks = 0.0,
            Self::Histogram(histogram) => histogram.reset(),
            Self::Summary(summary) => summary.reset(),
            _ => {}
        }
    }
}

/// Returns the sum of `events` amounts of about `unit` each.
fn amount(events: f64, unit: f64, random: &mut Random) -> f64 {
    if unit == 1.0 {
        return events;
    }

    events * unit
        + if events > 0.0 {
            (random.unit() * unit).floor()
        } else {
            0.0
        }
}

fn clock(time_s: f64, lag: f64, random: &mut Random) -> f64 {
    let to_ms = ((time_s - lag * random.unit()) * 1e3).round() / 1e3;
    to_ms
        + if lag == 0.0 {
            (random.unit() * 1e7).round() / 1e10
        } else {
            0.0
        }
}

/// A classic histogram: cumulative buckets with that of `+Inf`, then the sum and the count.
#[derive(Debug)]
pub(super) struct Histogram {
    /// Share of the events at or below each bound.
    shares: Vec<f64>,
    mean: f64,
    rate: f64,
    counts: Vec<u64>,
    sum: f64,
}

/// Up to this many events are drawn one by one.
const SINGLE_EVENTS_MAX: u64 = 64;
/// Shape of the log-logistic distribution of latencies.
const SHAPE: f64 = 2.2;

impl Histogram {
    /// Latencies around `mean`, `events` so far.
    pub(super) fn new(bounds: &[f64], rate: f64, mean: f64, events: u64) -> Self {
        let share = |bound: &f64| {
            let odds = (bound / mean).powf(SHAPE);
            odds / (1.0 + odds)
        };

        let shares: Vec<f64> = bounds.iter().map(share).collect();
        let below = shares.iter().map(|share| (events as f64 * share) as u64);
        let counts = below.chain([events]).collect();

        Self {
            shares,
            mean,
            rate,
            counts,
            sum: events as f64 * mean * 1.3,
        }
    }

    pub(super) fn series(bounds: &[f64]) -> usize {
        bounds.len() + 3
    }

    fn step(&mut self, random: &mut Random, busy_s: f64, out: &mut Vec<f64>) {
        let events = random.poisson(self.rate * busy_s);
        if events > SINGLE_EVENTS_MAX {
            self.many(events, random);
        } else {
            (0..events).for_each(|_| self.one(random));
        }

        out.extend(self.counts.iter().map(|&count| count as f64));
        out.push(self.sum);
        out.extend(self.counts.last().map(|&count| count as f64));
    }

    fn one(&mut self, random: &mut Random) {
        let position = random.unit();
        let bucket = self.shares.partition_point(|share| *share < position);
        self.counts[bucket..]
            .iter_mut()
            .for_each(|count| *count += 1);

        let position = position.clamp(1e-6, 1.0 - 1e-4);
        self.sum += self.mean * (position / (1.0 - position)).powf(1.0 / SHAPE);
    }

    /// Gives each bucket, from the lowest up, its part of the events that are left.
    fn many(&mut self, events: u64, random: &mut Random) {
        let mut left = events;
        let mut below = 0;
        let mut last_share = 0.0;

        for (bucket, count) in self.counts.iter_mut().enumerate() {
            let own = match self.shares.get(bucket) {
                Some(share) => {
                    let part = if last_share < 1.0 {
                        ((share - last_share) / (1.0 - last_share)).clamp(0.0, 1.0)
                    } else {
                        1.0
                    };

                    last_share = *share;
                    random.poisson(left as f64 * part).min(left)
                }
                None => left,
            };

            left -= own;
            below += own;
            *count += below;
        }

        self.sum += events as f64
            * self.mean
            * 1.3
            * (1.0 + 0.6 * random.normal() / (events as f64).sqrt());
    }

    fn reset(&mut self) {
        self.counts.fill(0);
        self.sum = 0.0;
    }
}

/// Quantiles (NaN while there was nothing), then the sum and the count.
#[derive(Debug)]
pub(super) struct Summary {
    quantiles: Vec<f64>,
    mean: f64,
    rate: f64,
    current: Vec<f64>,
    sum: f64,
    count: u64,
}

impl Summary {
    pub(super) fn new(quantiles: Vec<f64>, rate: f64, mean: f64, count: u64) -> Self {
        let current = vec![f64::NAN; quantiles.len()];
        Self {
            quantiles,
            mean,
            rate,
            current,
            sum: count as f64 * mean,
            count,
        }
    }

    fn step(&mut self, random: &mut Random, interval_s: f64, load: f64, out: &mut Vec<f64>) {
        let events = random.poisson(self.rate * interval_s * load);

        if events > 0 {
            for (current, quantile) in self.current.iter_mut().zip(&self.quantiles) {
                *current = self.mean
                    * (quantile / (1.0 - quantile)).powf(0.5)
                    * (0.05 * random.normal()).exp();
            }

            self.current.sort_by(f64::total_cmp);
            self.sum += events as f64 * self.mean * (1.0 + 0.3 * random.normal()).max(0.1);
            self.count += events;
        } else if self.rate * interval_s < 1.0 && random.unit() < 0.02 {
            self.current.fill(f64::NAN);
        }

        out.extend_from_slice(&self.current);
        out.extend([self.sum, self.count as f64]);
    }

    fn reset(&mut self) {
        self.current.fill(f64::NAN);
        (self.sum, self.count) = (0.0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_the_last_is_the_count() {
        let scrape = Scrape {
            time_s: 0.0,
            interval_s: 15.0,
            load: 1.0,
        };

        for rate in [0.1, 3.0, 1000.0] {
            let mut random = Random::new(3);
            let mut histogram =
                Behaviour::Histogram(Histogram::new(&[0.1, 1.0, 10.0], rate, 0.5, 7));

            for _ in 0..50 {
                let mut values = vec![];
                histogram.step(&mut random, scrape, &mut values);

                assert!(values[..4].is_sorted(), "{values:?}");
                assert_eq!((values.len(), values[3]), (6, values[5]));
            }
        }
    }
}
