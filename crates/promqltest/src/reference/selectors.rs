//! Finds the samples of a selector or a subquery.

use std::rc::Rc;

use duramen_model::GoRegex;
use duramen_syntax::Expr;
use duramen_syntax::ast::{At, DurationExpr, LabelMatcher, MatchOp, OffsetSpec, VectorSelector};

use super::labels::LabelSet;
use super::value::{Element, Fault, Sample, Value, Vector};
use super::window::{Edges, Window};
use super::{Evaluation, Grid, Moment, ReferenceSeries, Steps};

/// The labels of a series, and its latest sample with its time.
pub(super) type Latest = (LabelSet, (i64, Sample));

impl Evaluation<'_> {
    pub(super) fn instant(&self, selector: &VectorSelector, at: Moment) -> Result<Vector, Fault> {
        if selector.smoothed {
            return self.smoothed(selector, at);
        }

        let samples = self.instant_samples(selector, at)?;
        Ok(samples
            .into_iter()
            .map(|(labels, (_, sample))| Element::new(labels, sample))
            .collect())
    }

    /// Returns the last sample of each series within the look-back. A series whose last sample is a
    /// stale marker is left out.
    pub(super) fn instant_samples(
        &self,
        selector: &VectorSelector,
        at: Moment,
    ) -> Result<Vec<Latest>, Fault> {
        let time_ms = self.moved(selector.at, &selector.offset, at)?;
        let mut found = Vec::new();

        for series in self.selected(&selector.matchers)? {
            let last = series.samples.iter().rfind(|(ts, _)| *ts <= time_ms);
            if let Some((ts, sample)) = last
                .filter(|(ts, sample)| *ts > time_ms - self.known.lookback_ms && !sample.is_stale())
            {
                found.push((series.labels.clone(), (*ts, sample.clone())));
            }
        }

        Ok(found)
    }

    /// Interpolates the value of each series between the samples before and after the time. If
    /// there is none after it, the value is that of the one before.
    fn smoothed(&self, selector: &VectorSelector, at: Moment) -> Result<Vector, Fault> {
        let time_ms = self.moved(selector.at, &selector.offset, at)?;
        let reach_ms = self.known.lookback_ms;
        let mut vector = Vec::new();

        for series in self.selected(&selector.matchers)? {
            let samples = within(series, time_ms - reach_ms, time_ms + reach_ms);
            let value = super::rates::smoothed_at(&samples, time_ms);
            vector.extend(value.map(|value| Element::new(series.labels.clone(), value)));
        }

        Ok(vector)
    }

    /// Returns the selected series, sorted by labels. The order can change a sum, for example if
    /// the zero bucket of one histogram cuts buckets of another.
    pub(super) fn selected(
        &self,
        matchers: &[LabelMatcher],
    ) -> Result<Vec<&ReferenceSeries>, Fault> {
        let mut found = Vec::new();
        for series in &self.known.series {
            if selects(matchers, &series.labels)? {
                found.push(series);
            }
        }

        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(found)
    }

    /// Returns the window of each series of a range vector. Series without a sample are left out.
    pub(super) fn windows(&self, expr: &Expr, at: Moment) -> Result<Vec<Window>, Fault> {
        match expr {
            Expr::Paren { expr, .. } => self.windows(expr, at),
            Expr::MatrixSelector {
                selector, range, ..
            } => self.selector_windows(selector, range, at),
            Expr::Subquery {
                expr,
                range,
                step,
                offset,
                at: fixed,
                ..
            } => {
                let end_ms = self.moved(*fixed, offset, at)?;
                let range_ms = self.length_ms(range)?;
                let step = step
                    .as_ref()
                    .ok_or_else(|| Fault::Beyond("a subquery without a step".to_owned()))?;
                let step_ms = self.length_ms(step)?;
                let start_ms = end_ms - range_ms;

                let around = match fixed {
                    Some(_) => (start_ms, end_ms),
                    None => {
                        let offset_ms = at.time_ms - end_ms;
                        (
                            at.grid.first_ms - offset_ms - range_ms,
                            at.grid.last_ms() - offset_ms,
                        )
                    }
                };

                let first_ms = (around.0.div_euclid(step_ms) + 1) * step_ms;
                let steps = self.steps(
                    expr,
                    Grid {
                        first_ms,
                        end_ms: around.1,
                        step_ms,
                    },
                )?;

                Ok(gathered(&steps, start_ms, end_ms))
            }
            _ => Err(Fault::Beyond("this range vector".to_owned())),
        }
    }

    fn selector_windows(
        &self,
        selector: &VectorSelector,
        range: &DurationExpr,
        at: Moment,
    ) -> Result<Vec<Window>, Fault> {
        let end_ms = self.moved(selector.at, &selector.offset, at)?;
        let start_ms = end_ms - self.length_ms(range)?;

        let edges = match (selector.anchored, selector.smoothed) {
            (true, _) => Edges::Anchored,
            (_, true) => Edges::Smoothed,
            _ => Edges::Plain,
        };

        let before_ms = if edges == Edges::Plain {
            0
        } else {
            self.known.lookback_ms
        };

        let behind_ms = if edges == Edges::Smoothed {
            self.known.lookback_ms
        } else {
            0
        };

        let mut windows = Vec::new();

        for series in self.selected(&selector.matchers)? {
            let samples = within(series, start_ms - before_ms, end_ms + behind_ms);
            let labels = series.labels.clone();

            windows.push(Window {
                labels,
                nameless: false,
                start_ms,
                end_ms,
                samples,
                edges,
            });
        }

        windows.retain(|window| !window.samples.is_empty());
        Ok(windows)
    }

    /// Evaluates a subquery at all times of the grid. They cover what every moment of the outer
    /// query needs.
    fn steps(&self, expr: &Expr, grid: Grid) -> Result<Steps, Fault> {
        let key = (std::ptr::from_ref(expr), grid);
        if let Some(steps) = self.subqueries.borrow().get(&key) {
            return Ok(Rc::clone(steps));
        }

        let mut steps = Vec::new();

        for time_ms in grid.times() {
            let vector = match self.evaluate(expr, Moment { time_ms, grid })? {
                Value::Vector(vector) => vector,
                Value::Scalar(value) => vec![Element::new(LabelSet::new(), value)],
            };

            steps.push((time_ms, vector));
        }

        let steps = Rc::new(steps);
        self.subqueries.borrow_mut().insert(key, Rc::clone(&steps));
        Ok(steps)
    }

    /// Returns the time that a selector reads, after `@` and `offset`.
    fn moved(&self, fixed: Option<At>, offset: &OffsetSpec, at: Moment) -> Result<i64, Fault> {
        let time_ms = match fixed {
            None => at.time_ms,
            Some(At::TimestampMs(time_ms)) => time_ms,
            Some(At::Start) => self.query.start_ms,
            Some(At::End) => self.query.end_ms,
        };

        match offset {
            OffsetSpec::Ms(offset_ms) => Ok(time_ms - offset_ms),
            OffsetSpec::Expr(duration) => Ok(time_ms - self.duration_ms(duration)?),
        }
    }

    fn length_ms(&self, duration: &DurationExpr) -> Result<i64, Fault> {
        match self.duration_ms(duration)? {
            ms if ms > 0 => Ok(ms),
            _ => Err(Fault::Fails("duration must be greater than 0")),
        }
    }
}

/// Cuts the window of each series out of the steps of a subquery. Hints of resets are dropped: they
/// refer to the previous sample in the store, which need not be in the window.
fn gathered(steps: &[(i64, Vector)], start_ms: i64, end_ms: i64) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    for (time_ms, vector) in steps
        .iter()
        .filter(|(time_ms, _)| *time_ms > start_ms && *time_ms <= end_ms)
    {
        for Element {
            labels,
            nameless,
            sample,
        } in vector.clone()
        {
            let sample = match sample {
                Sample::Histogram(histogram) => Sample::from(histogram.without_reset_hint()),
                float @ Sample::Float(_) => float,
            };

            match windows.iter_mut().find(|window| window.labels == labels) {
                Some(window) => window.samples.push((*time_ms, sample)),
                None => {
                    let samples = vec![(*time_ms, sample)];
                    windows.push(Window {
                        labels,
                        nameless,
                        start_ms,
                        end_ms,
                        samples,
                        edges: Edges::Plain,
                    });
                }
            }
        }
    }

    windows
}

/// Returns the samples with `start_ms < time <= end_ms`. Stale markers are left out.
fn within(series: &ReferenceSeries, start_ms: i64, end_ms: i64) -> Vec<(i64, Sample)> {
    let inside =
        |(ts, sample): &&(i64, Sample)| *ts > start_ms && *ts <= end_ms && !sample.is_stale();
    series.samples.iter().filter(inside).cloned().collect()
}

pub(super) fn selects(matchers: &[LabelMatcher], labels: &LabelSet) -> Result<bool, Fault> {
    let mut all = true;

    for LabelMatcher { name, op, value } in matchers {
        let actual = labels.get(name).map_or("", String::as_str);
        let regex = || GoRegex::parse(value).map_err(|error| Fault::Beyond(error.to_string()));

        all &= match op {
            MatchOp::Equal => actual == value,
            MatchOp::NotEqual => actual != value,
            MatchOp::Regex => regex()?.is_match(actual),
            MatchOp::NotRegex => !regex()?.is_match(actual),
        };
    }

    Ok(all)
}
