//! Aggregations.

use std::collections::BTreeMap;

use duramen_syntax::Expr;
use duramen_syntax::ast::{AggregateOp, Grouping};

use super::labels::{LabelSet, distinct, only, set, without};
use super::{Fault, Reference, Value, Vector, When, ranges};

impl Reference {
    pub(super) fn aggregate(
        &self,
        op: AggregateOp,
        grouping: Option<&Grouping>,
        param: Option<&Expr>,
        expr: &Expr,
        when: When,
    ) -> Result<Value, Fault> {
        let vector = self.vector(expr, when)?;
        if op == AggregateOp::CountValues {
            let Some(Expr::String { value: label, .. }) = param else { return Err(Fault::Beyond("no label".into())) };
            return count_values(&vector, grouping, label);
        }
        let q = match param {
            Some(param) => self.scalar(param, when)?,
            None => f64::NAN,
        };
        let mut groups: BTreeMap<LabelSet, Vec<f64>> = BTreeMap::new();
        for (labels, value) in vector {
            groups.entry(group(&labels, grouping)).or_default().push(value);
        }
        let value = |values: &[f64]| match op {
            AggregateOp::Sum => Ok(ranges::sum(values)),
            AggregateOp::Avg => Ok(ranges::average(values)),
            AggregateOp::Count => Ok(values.len() as f64),
            AggregateOp::Group => Ok(1.0),
            AggregateOp::Min => Ok(ranges::least(values)),
            AggregateOp::Max => Ok(-ranges::least(&values.iter().map(|value| -value).collect::<Vec<_>>())),
            AggregateOp::Stdvar => Ok(ranges::variance(values)),
            AggregateOp::Stddev => Ok(ranges::variance(values).sqrt()),
            AggregateOp::Quantile => Ok(ranges::quantile(q, values)),
            _ => Err(Fault::Beyond(format!("{op:?}"))),
        };
        let vector: Result<Vector, Fault> =
            groups.into_iter().map(|(labels, values)| Ok((labels, value(&values)?))).collect();
        Ok(Value::Vector(vector?))
    }
}

fn group(labels: &LabelSet, grouping: Option<&Grouping>) -> LabelSet {
    match grouping {
        None => LabelSet::new(),
        Some(Grouping::By(names)) => only(labels, names),
        Some(Grouping::Without(names)) => without(labels, names),
    }
}

/// Counts equal values, each under its text as a label.
fn count_values(vector: &Vector, grouping: Option<&Grouping>, label: &str) -> Result<Value, Fault> {
    let mut counts: BTreeMap<LabelSet, f64> = BTreeMap::new();
    for (labels, value) in vector {
        let mut group = group(labels, grouping);
        let text = match *value {
            f64::INFINITY => "+Inf".to_owned(),
            f64::NEG_INFINITY => "-Inf".to_owned(),
            value => value.to_string(),
        };
        set(&mut group, label, &text);
        *counts.entry(group).or_default() += 1.0;
    }
    Ok(Value::Vector(distinct(counts.into_iter().collect())?))
}
