//! Aggregations.

use std::collections::BTreeMap;

use duramen_syntax::Expr;
use duramen_syntax::ast::{AggregateOp, Grouping};

use super::functions::text;
use super::labels::{LabelSet, only, set, without};
use super::over_time::{added, averaged};
use super::value::{Element, Fault, Sample, Value, Vector, distinct};
use super::{Evaluation, Moment, ranges};

impl Evaluation<'_> {
    pub(super) fn aggregate(
        &self,
        op: AggregateOp,
        grouping: Option<&Grouping>,
        param: Option<&Expr>,
        expr: &Expr,
        at: Moment,
    ) -> Result<Value, Fault> {
        let vector = self.vector(expr, at)?;
        if op == AggregateOp::CountValues {
            let label = param.ok_or_else(|| Fault::Beyond("no label".into()))?;
            return count_values(&vector, grouping, text(label)?);
        }

        let parameter = match param {
            Some(param) => self.scalar(param, at)?,
            None => f64::NAN,
        };

        let mut groups: BTreeMap<LabelSet, Vector> = BTreeMap::new();
        for element in vector {
            groups
                .entry(group(&element.labels, grouping))
                .or_default()
                .push(element);
        }

        if matches!(
            op,
            AggregateOp::Topk
                | AggregateOp::Bottomk
                | AggregateOp::Limitk
                | AggregateOp::LimitRatio
        ) {
            return super::choice::chosen(op, parameter, groups.into_values());
        }

        let mut out = Vec::new();

        for (labels, elements) in groups {
            // The group may be by name. The name goes if it goes from any of the series.
            let nameless = elements.iter().any(|element| element.nameless);
            let sample = aggregated(op, parameter, &elements)?;

            out.extend(sample.map(|sample| Element {
                labels,
                nameless,
                sample,
            }));
        }

        Ok(Value::Vector(out))
    }
}

/// Aggregates one group. Most operators ignore histograms.
fn aggregated(op: AggregateOp, parameter: f64, elements: &Vector) -> Result<Option<Sample>, Fault> {
    let samples = elements.iter().map(|element| &element.sample);
    let values: Vec<f64> = samples.clone().filter_map(Sample::float).collect();
    let float = |function: &dyn Fn(&[f64]) -> f64| {
        (!values.is_empty()).then(|| Sample::Float(function(&values)))
    };

    Ok(match op {
        AggregateOp::Sum => added(samples).map(compact),
        AggregateOp::Avg => averaged(samples).map(compact),
        AggregateOp::Count => Some(Sample::Float(elements.len() as f64)),
        AggregateOp::Group => Some(Sample::Float(1.0)),
        AggregateOp::Min => float(&ranges::least),
        AggregateOp::Max => float(&ranges::most),
        AggregateOp::Stdvar => float(&ranges::variance),
        AggregateOp::Stddev => float(&|values| ranges::variance(values).sqrt()),
        AggregateOp::Quantile => float(&|values| ranges::quantile(parameter, values)),
        _ => return Err(Fault::Beyond(format!("{op:?}"))),
    })
}

fn compact(sample: Sample) -> Sample {
    match sample {
        Sample::Histogram(histogram) => Sample::from(histogram.compact()),
        float @ Sample::Float(_) => float,
    }
}

fn group(labels: &LabelSet, grouping: Option<&Grouping>) -> LabelSet {
    match grouping {
        None => LabelSet::new(),
        Some(Grouping::By(names)) => only(labels, names),
        Some(Grouping::Without(names)) => without(labels, names),
    }
}

/// Counts equal values. The text of each value becomes a label.
fn count_values(vector: &Vector, grouping: Option<&Grouping>, label: &str) -> Result<Value, Fault> {
    let mut counts: BTreeMap<LabelSet, f64> = BTreeMap::new();

    for Element { labels, sample, .. } in vector {
        let mut group = group(labels, grouping);
        let text = match sample {
            Sample::Float(f64::INFINITY) => "+Inf".to_owned(),
            Sample::Float(f64::NEG_INFINITY) => "-Inf".to_owned(),
            Sample::Float(value) => value.to_string(),
            Sample::Histogram(_) => return Err(Fault::Beyond("the text of a histogram".into())),
        };

        set(&mut group, label, &text);
        *counts.entry(group).or_default() += 1.0;
    }

    let counts = counts
        .into_iter()
        .map(|(labels, count)| Element::new(labels, count));
    Ok(Value::Vector(distinct(counts.collect())?))
}
