//! Which samples a selector or a subquery is about.

use duramen_model::{GoRegex, is_stale};
use duramen_syntax::Expr;
use duramen_syntax::ast::{At, DurationExpr, LabelMatcher, MatchOp, OffsetSpec, VectorSelector};

use super::labels::LabelSet;
use super::{Fault, Reference, Value, Vector, When};

/// One series of a range vector: its samples with `start_ms < time <= end_ms`.
pub(super) struct Window {
    pub(super) labels: LabelSet,
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    pub(super) samples: Vec<(i64, f64)>,
}

/// A series and its sample, as time and value.
pub(super) type Latest = (LabelSet, (i64, f64));

impl Reference {
    pub(super) fn instant(&self, selector: &VectorSelector, when: When) -> Result<Vector, Fault> {
        let samples = self.instant_samples(selector, when)?;
        Ok(samples.into_iter().map(|(labels, (_, value))| (labels, value)).collect())
    }

    /// Of each series the last sample that is no older than the look-back, unless it says that the series ended.
    pub(super) fn instant_samples(&self, selector: &VectorSelector, when: When) -> Result<Vec<Latest>, Fault> {
        let time_ms = moved(selector.at, &selector.offset, when)?;
        let mut found = Vec::new();
        for series in &self.series {
            if !selects(selector, &series.labels)? {
                continue;
            }
            let last = series.samples.iter().rfind(|(ts, _)| *ts <= time_ms);
            if let Some(&(ts, value)) = last.filter(|(ts, v)| *ts > time_ms - self.lookback_ms && !is_stale(*v)) {
                found.push((series.labels.clone(), (ts, value)));
            }
        }
        Ok(found)
    }

    /// The series of a range vector that have any sample in the range.
    pub(super) fn windows(&self, expr: &Expr, when: When) -> Result<Vec<Window>, Fault> {
        match expr {
            Expr::Paren { expr, .. } => self.windows(expr, when),
            Expr::MatrixSelector { selector, range, .. } => {
                let end_ms = moved(selector.at, &selector.offset, when)?;
                let start_ms = end_ms - length_ms(range)?;
                let mut windows = Vec::new();
                for series in &self.series {
                    if selects(selector, &series.labels)? {
                        let inside = |(ts, v): &&(i64, f64)| *ts > start_ms && *ts <= end_ms && !is_stale(*v);
                        let samples: Vec<_> = series.samples.iter().filter(inside).copied().collect();
                        windows.push(Window { labels: series.labels.clone(), start_ms, end_ms, samples });
                    }
                }
                windows.retain(|window| !window.samples.is_empty());
                Ok(windows)
            }
            Expr::Subquery { expr, range, step, offset, at, .. } => {
                let end_ms = moved(*at, offset, when)?;
                let start_ms = end_ms - length_ms(range)?;
                let step = step.as_ref().ok_or_else(|| Fault::Beyond("a subquery without a step".to_owned()))?;
                self.subquery(expr, (start_ms, end_ms, length_ms(step)?), when)
            }
            _ => Err(Fault::Beyond("this range vector".to_owned())),
        }
    }

    /// Evaluates at all multiples of the step inside of the range.
    fn subquery(
        &self,
        expr: &Expr,
        (start_ms, end_ms, step_ms): (i64, i64, i64),
        when: When,
    ) -> Result<Vec<Window>, Fault> {
        let mut windows: Vec<Window> = Vec::new();
        let mut time_ms = (start_ms.div_euclid(step_ms) + 1) * step_ms;
        while time_ms <= end_ms {
            let vector = match self.evaluate(expr, When { time_ms, ..when })? {
                Value::Vector(vector) => vector,
                Value::Scalar(value) => vec![(LabelSet::new(), value)],
            };
            for (labels, value) in vector {
                match windows.iter_mut().find(|window| window.labels == labels) {
                    Some(window) => window.samples.push((time_ms, value)),
                    None => windows.push(Window { labels, start_ms, end_ms, samples: vec![(time_ms, value)] }),
                }
            }
            time_ms += step_ms;
        }
        Ok(windows)
    }
}

/// The time that a selector is about.
fn moved(at: Option<At>, offset: &OffsetSpec, when: When) -> Result<i64, Fault> {
    let time_ms = match at {
        None => when.time_ms,
        Some(At::TimestampMs(time_ms)) => time_ms,
        Some(At::Start) => when.start_ms,
        Some(At::End) => when.end_ms,
    };
    match offset {
        OffsetSpec::Ms(offset_ms) => Ok(time_ms - offset_ms),
        OffsetSpec::Expr(_) => Err(Fault::Beyond("a computed offset".to_owned())),
    }
}

fn length_ms(duration: &DurationExpr) -> Result<i64, Fault> {
    duration.evaluate_ms(0, 0).map_err(|error| Fault::Beyond(error.to_string()))
}

fn selects(selector: &VectorSelector, labels: &LabelSet) -> Result<bool, Fault> {
    if selector.anchored || selector.smoothed {
        return Err(Fault::Beyond("anchored and smoothed".to_owned()));
    }
    let mut all = true;
    for LabelMatcher { name, op, value } in &selector.matchers {
        let held = labels.get(name).map_or("", String::as_str);
        let regex = || GoRegex::parse(value).map_err(|error| Fault::Beyond(error.to_string()));
        all &= match op {
            MatchOp::Equal => held == value,
            MatchOp::NotEqual => held != value,
            MatchOp::Regex => regex()?.is_match(held),
            MatchOp::NotRegex => !regex()?.is_match(held),
        };
    }
    Ok(all)
}
