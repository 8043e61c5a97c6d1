//! `info`: labels of the series that describe a target, joined to those of it.

use std::collections::{BTreeMap, BTreeSet};

use duramen_model::METRIC_NAME;
use duramen_syntax::Expr;
use duramen_syntax::ast::{LabelMatcher, MatchOp};

use super::labels::{LabelSet, only, set};
use super::selectors::selects;
use super::value::{Element, Fault, Value, distinct};
use super::{Evaluation, Moment};

/// The labels by which a series and the description of its target know each other.
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

        let (of_name, of_data): (Vec<_>, Vec<_>) = matchers
            .iter()
            .cloned()
            .partition(|matcher| matcher.name == METRIC_NAME);

        let of_name = described_by(of_name);
        let base = self.vector(base, at)?;
        let descriptions = self.descriptions(&of_name, &of_data, at)?;
        let wanted: BTreeSet<&str> = of_data
            .iter()
            .map(|matcher| matcher.name.as_str())
            .collect();

        let nothing_wanted = selects(&of_data, &LabelSet::new())?;
        let mut out = Vec::new();

        for element in base {
            let name: LabelSet = only(&element.labels, &[METRIC_NAME.to_owned()]);
            if selects(&of_name, &name)? {
                // It is a description itself.
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

            let mut joined = LabelSet::new();

            for (label, value) in described.into_iter().flatten() {
                let is_wanted = wanted.is_empty() || wanted.contains(label.as_str());
                if label == METRIC_NAME || !is_wanted {
                    continue;
                }

                if joined.get(label).is_some_and(|other| other != value) {
                    return Err(Fault::Fails("conflicting label"));
                }

                if !element.labels.contains_key(label) {
                    set(&mut joined, label, value);
                }
            }

            let labels = element.labels.into_iter().chain(joined).collect();
            out.push(Element { labels, ..element });
        }

        Ok(Value::Vector(distinct(out)?))
    }

    /// By the name of the description and the target that it is of: the labels of the newest one.
    fn descriptions(
        &self,
        of_name: &[LabelMatcher],
        of_data: &[LabelMatcher],
        at: Moment,
    ) -> Result<BTreeMap<(String, LabelSet), LabelSet>, Fault> {
        let mut newest: BTreeMap<(String, LabelSet), (i64, LabelSet)> = BTreeMap::new();

        for series in self.selected(&[of_name, of_data].concat())? {
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

fn identity(labels: &LabelSet) -> LabelSet {
    only(labels, &IDENTIFYING.map(str::to_owned))
}

/// Which names descriptions have: `target_info` where nothing is said, and names that end so where
/// it is only said which they are not.
fn described_by(of_name: Vec<LabelMatcher>) -> Vec<LabelMatcher> {
    let matcher = |op, value: &str| LabelMatcher {
        name: METRIC_NAME.to_owned(),
        op,
        value: value.to_owned(),
    };

    if of_name
        .iter()
        .any(|matcher| matches!(matcher.op, MatchOp::Equal | MatchOp::Regex))
    {
        return of_name;
    }
    match of_name.is_empty() {
        true => vec![matcher(MatchOp::Equal, "target_info")],
        false => std::iter::once(matcher(MatchOp::Regex, ".+_info"))
            .chain(of_name)
            .collect(),
    }
}
