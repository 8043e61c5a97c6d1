//! Quantiles and fractions of histograms: classic ones, with a series for each bucket, and native
//! ones.

use std::collections::BTreeMap;

use duramen_syntax::Expr;

use super::functions::text;
use super::labels::{LabelSet, set};
use super::value::{Element, Fault, Sample, Value, distinct};
use super::{Evaluation, Histogram, Moment};

/// Upper bounds, each with the number of observations at or below it.
type Buckets = Vec<(f64, f64)>;

enum Distribution {
    Classic(Buckets),
    Native(Histogram),
}

impl Distribution {
    fn quantile(&self, q: f64) -> f64 {
        match self {
            Self::Classic(buckets) => quantile(q, buckets),
            Self::Native(histogram) => histogram.quantile(q),
        }
    }

    fn fraction(&self, lower: f64, upper: f64) -> f64 {
        match self {
            Self::Classic(buckets) => fraction(lower, upper, buckets),
            Self::Native(histogram) => histogram.fraction(lower, upper),
        }
    }
}

impl Evaluation<'_> {
    pub(super) fn of_distribution(
        &self,
        name: &str,
        args: &[Expr],
        at: Moment,
    ) -> Result<Value, Fault> {
        let mut out = Vec::new();

        match (name, args) {
            ("histogram_quantile", [q, vector]) => {
                let q = self.scalar(q, at)?;
                for (element, distribution) in self.distributions(vector, at)? {
                    out.push(self.unnamed(Element {
                        sample: Sample::Float(distribution.quantile(q)),
                        ..element
                    }));
                }
            }
            ("histogram_fraction", [lower, upper, vector]) => {
                let lower = self.scalar(lower, at)?;
                let upper = self.scalar(upper, at)?;

                for (element, distribution) in self.distributions(vector, at)? {
                    let share = distribution.fraction(lower, upper);
                    out.push(self.unnamed(Element {
                        sample: Sample::Float(share),
                        ..element
                    }));
                }
            }
            ("histogram_quantiles", [vector, label, qs @ ..]) => {
                for q in qs {
                    let q = self.scalar(q, at)?;
                    for (mut element, distribution) in self.distributions(vector, at)? {
                        set(&mut element.labels, text(label)?, &written(q));
                        out.push(self.unnamed(Element {
                            sample: Sample::Float(distribution.quantile(q)),
                            ..element
                        }));
                    }
                }
            }
            _ => return Err(Fault::Beyond(format!("function {name}"))),
        }

        Ok(Value::Vector(distinct(out)?))
    }

    /// Returns the histograms of a vector. A float without a bound belongs to no histogram. If a
    /// classic and a native histogram have the same labels, neither is returned.
    fn distributions(
        &self,
        vector: &Expr,
        at: Moment,
    ) -> Result<Vec<(Element, Distribution)>, Fault> {
        let mut classic: BTreeMap<LabelSet, (Element, Buckets)> = BTreeMap::new();
        let mut native = Vec::new();

        for element in self.vector(vector, at)? {
            match &element.sample {
                Sample::Histogram(histogram) => {
                    native.push((element.clone(), Distribution::Native((**histogram).clone())))
                }
                Sample::Float(count) => {
                    let Some(bound) = element.labels.get("le").and_then(|le| le.parse().ok())
                    else {
                        continue;
                    };

                    let mut labels = element.labels.clone();
                    labels.remove("le");

                    let group = Element {
                        labels: labels.clone(),
                        ..element.clone()
                    };

                    classic
                        .entry(labels)
                        .or_insert_with(|| (group, Vec::new()))
                        .1
                        .push((bound, *count));
                }
            }
        }

        native.retain(|(element, _)| classic.remove(&element.labels).is_none());

        let classic = classic
            .into_values()
            .map(|(element, buckets)| (element, Distribution::Classic(buckets)));
        Ok(native.into_iter().chain(classic).collect())
    }
}

/// Writes a quantile as a label value, with at least one digit after the point.
fn written(q: f64) -> String {
    match q {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => format!("{q:?}"),
    }
}

/// Sorts the buckets by bound and merges those with the same bound. Returns `None` if none is at
/// +Inf.
fn ordered(buckets: &Buckets) -> Option<Buckets> {
    let mut sorted = buckets.clone();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));

    let mut ordered: Buckets = Vec::new();
    for (bound, count) in sorted {
        match ordered.last_mut().filter(|last| last.0 == bound) {
            Some(last) => last.1 += count,
            None => ordered.push((bound, count)),
        }
    }

    ordered
        .last()
        .is_some_and(|last| last.0 == f64::INFINITY)
        .then_some(ordered)
}

/// Interpolates linearly within the bucket of the quantile. If the lowest bucket ends above zero,
/// it begins at zero. A count that is lower than the one before is raised to it.
fn quantile(q: f64, buckets: &Buckets) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }

    if q < 0.0 {
        return f64::NEG_INFINITY;
    }

    if q > 1.0 {
        return f64::INFINITY;
    }

    let Some(mut buckets) = ordered(buckets).filter(|buckets| buckets.len() >= 2) else {
        return f64::NAN;
    };

    for at in 1..buckets.len() {
        let before = buckets[at - 1].1;
        let now = buckets[at].1;
        let as_good_as_same = (now - before).abs() <= 1e-12 * (now.abs() + before.abs());

        if now < before || as_good_as_same {
            buckets[at].1 = before;
        }
    }

    let last = buckets.len() - 1;
    let all = buckets[last].1;

    if all == 0.0 {
        return f64::NAN;
    }

    let rank = q * all;
    let found = buckets[..last]
        .iter()
        .position(|(_, count)| *count >= rank)
        .unwrap_or(last);

    let (upper, count) = buckets[found];
    match found.checked_sub(1).map(|below| buckets[below]) {
        Some((lower, _)) if found == last => lower,
        Some((lower, below)) => lower + (upper - lower) * ((rank - below) / (count - below)),
        None if upper <= 0.0 => upper,
        None => upper * (rank / count),
    }
}

fn fraction(lower: f64, upper: f64, buckets: &Buckets) -> f64 {
    let Some(buckets) = ordered(buckets) else {
        return f64::NAN;
    };
    let all = buckets.last().map_or(0.0, |last| last.1);

    if all == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }

    if lower >= upper {
        return 0.0;
    }

    let below = |value: f64| {
        let mut from = if buckets[0].0 <= 0.0 {
            f64::NEG_INFINITY
        } else {
            0.0
        };

        let mut seen = 0.0;

        for (to, count) in &buckets {
            if from >= value {
                return seen;
            }

            if *to > value {
                let unbounded = from == f64::NEG_INFINITY;
                return if unbounded {
                    *count
                } else {
                    seen + (count - seen) * (value - from) / (to - from)
                };
            }

            from = *to;
            seen = *count;
        }

        f64::INFINITY
    };

    (below(upper).min(all) - below(lower).min(all)) / all
}
