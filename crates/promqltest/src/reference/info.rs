//! The function `info`: adds labels of info metrics to the series of the same target.

use std::collections::{BTreeMap, BTreeSet};

use duramen_model::METRIC_NAME;
use duramen_syntax::Expr;
use duramen_syntax::ast::{LabelMatcher, MatchOp};

use super::labels::{LabelSet, only, set};
use super::selectors::selects;
use super::value::{Element, Fault, Value, distinct};
use super::{Evaluation, Moment};

/// The labels that a series and the info metric of its target share.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

impl Evaluation<'_> {
    pub(super) fn info(&self, args: &[Expr], at: Moment) -> Result<Value, Fault> {
        let [base, more @ ..] = args else {
            return Err(Fault::Beyond("info".into()));
        };
        let matchers: &[LabelMatcher] = match more {
            [] => &[],
            [Expr::VectorSelector(selector)] => &selector.matchers,
            _ => return Err(Fault::Beyond("info by anything but a selector".into())),
        };

        let (name_matchers, label_matchers): (Vec<_>, Vec<_>) = matchers
            .iter()
            .cloned()
            .partition(|matcher| matcher.name == METRIC_NAME);

        let name_matchers = described_by(name_matchers);
        let base = self.vector(base, at)?;
        let descriptions = self.descriptions(&name_matchers, &label_matchers, at)?;
        let wanted: BTreeSet<&str> = label_matchers
            .iter()
            .map(|matcher| matcher.name.as_str())
            .collect();

        let nothing_wanted = selects(&label_matchers, &LabelSet::new())?;
        let mut out = Vec::new();

        for element in base {
            let name: LabelSet = only(&element.labels, &[METRIC_NAME.to_owned()]);
            if selects(&name_matchers, &name)? {
                // The element is an info metric itself.
                out.push(element);
                continue;
            }

            let described: Vec<&LabelSet> = descriptions
                .iter()
                .filter(|((_, target), _)| *target == identity(&element.labels))
                .map(|(_, l)| l)
                .collect();

            if described.is_empty() && !nothing_wanted {
                continue;
            }

            let joined = joined(&element.labels, described, &wanted)?;
            let labels = element.labels.into_iter().chain(joined).collect();
            out.push(Element { labels, ..element });
        }

        Ok(Value::Vector(distinct(out)?))
    }

    /// Returns the labels of the newest info series, by its name and its target.
    fn descriptions(
        &self,
        name_matchers: &[LabelMatcher],
        label_matchers: &[LabelMatcher],
        at: Moment,
    ) -> Result<BTreeMap<(String, LabelSet), LabelSet>, Fault> {
        let mut newest: BTreeMap<(String, LabelSet), (i64, LabelSet)> = BTreeMap::new();

        for series in self.selected(&[name_matchers, label_matchers].concat())? {
            let last = series.samples.iter().rfind(|(ts, _)| *ts <= at.time_ms);
            let seen =
                last.filter(|(ts, s)| *ts > at.time_ms - self.known.lookback_ms && !s.is_stale());
            let Some((ts, _)) = seen else { continue };
            let name = series.labels.get(METRIC_NAME).cloned().unwrap_or_default();
            let key = (name, identity(&series.labels));

            match newest.get(&key) {
                Some((other, _)) if other == ts => {
                    return Err(Fault::Fails("found duplicate series for info metric"));
                }
                Some((other, _)) if other > ts => {}
                _ => _ = newest.insert(key, (*ts, series.labels.clone())),
            }
        }

        Ok(newest
            .into_iter()
            .map(|(key, (_, labels))| (key, labels))
            .collect())
    }
}

/// Returns the labels of `described` that the series with `labels` does not have. If `wanted` is
/// not empty, only labels with these names are joined.
fn joined(
    labels: &LabelSet,
    described: Vec<&LabelSet>,
    wanted: &BTreeSet<&str>,
) -> Result<LabelSet, Fault> {
    let mut joined = LabelSet::new();

    for (label, value) in described.into_iter().flatten() {
        let is_wanted = wanted.is_empty() || wanted.contains(label.as_str());
        if label == METRIC_NAME || !is_wanted {
            continue;
        }

        if joined.get(label).is_some_and(|other| other != value) {
            return Err(Fault::Fails("conflicting label"));
        }

        if !labels.contains_key(label) {
            set(&mut joined, label, value);
        }
    }

    Ok(joined)
}

fn identity(labels: &LabelSet) -> LabelSet {
    only(labels, &IDENTIFYING.map(str::to_owned))
}

/// Returns the matchers for names of info metrics. Without a matcher for the name it is
/// `target_info`. If there are only negative matchers, the name must also end in `_info`.
fn described_by(name_matchers: Vec<LabelMatcher>) -> Vec<LabelMatcher> {
    let matcher = |op, value: &str| LabelMatcher {
        name: METRIC_NAME.to_owned(),
        op,
        value: value.to_owned(),
    };

    if name_matchers
        .iter()
        .any(|matcher| matches!(matcher.op, MatchOp::Equal | MatchOp::Regex))
    {
        return name_matchers;
    }
    match name_matchers.is_empty() {
        true => vec![matcher(MatchOp::Equal, "target_info")],
        false => std::iter::once(matcher(MatchOp::Regex, ".+_info"))
            .chain(name_matchers)
            .collect(),
    }
}
