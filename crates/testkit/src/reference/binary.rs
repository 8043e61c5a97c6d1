//! Binary operations.

use std::collections::BTreeSet;

use duramen_model::METRIC_NAME;
use duramen_syntax::ast::{BinaryOp, Cardinality, VectorMatching};

use super::labels::{LabelSet, distinct, only, set, unnamed, without};
use super::{Fault, Value, Vector};

pub(super) fn evaluate(
    op: BinaryOp,
    lhs: Value,
    rhs: Value,
    return_bool: bool,
    matching: Option<&VectorMatching>,
) -> Result<Value, Fault> {
    match (lhs, rhs) {
        (Value::Scalar(a), Value::Scalar(b)) => {
            let value = match apply(op, a, b)? {
                Outcome::Value(value) => value,
                Outcome::Holds(holds) => f64::from(u8::from(holds)),
            };
            Ok(Value::Scalar(value))
        }
        (Value::Vector(vector), Value::Scalar(b)) => each(vector, op, return_bool, |value| (value, b)),
        (Value::Scalar(a), Value::Vector(vector)) => each(vector, op, return_bool, |value| (a, value)),
        (Value::Vector(lhs), Value::Vector(rhs)) => {
            let matching = matching.ok_or_else(|| Fault::Beyond("vectors without a matching".to_owned()))?;
            let key = |labels: &LabelSet| match matching.on {
                true => only(labels, &matching.labels),
                false => without(labels, &matching.labels),
            };
            match op {
                BinaryOp::And | BinaryOp::Unless => {
                    let keys: BTreeSet<LabelSet> = rhs.iter().map(|(labels, _)| key(labels)).collect();
                    let stays = |labels: &LabelSet| keys.contains(&key(labels)) == (op == BinaryOp::And);
                    Ok(Value::Vector(lhs.into_iter().filter(|(labels, _)| stays(labels)).collect()))
                }
                BinaryOp::Or => {
                    let keys: BTreeSet<LabelSet> = lhs.iter().map(|(labels, _)| key(labels)).collect();
                    let more = rhs.into_iter().filter(|(labels, _)| !keys.contains(&key(labels)));
                    Ok(Value::Vector(distinct(lhs.into_iter().chain(more).collect())?))
                }
                _ => matched(op, &lhs, &rhs, return_bool, matching, key),
            }
        }
    }
}

/// What an operator says of two values.
enum Outcome {
    Value(f64),
    Holds(bool),
}

fn apply(op: BinaryOp, a: f64, b: f64) -> Result<Outcome, Fault> {
    Ok(match op {
        BinaryOp::Add => Outcome::Value(a + b),
        BinaryOp::Sub => Outcome::Value(a - b),
        BinaryOp::Mul => Outcome::Value(a * b),
        BinaryOp::Div => Outcome::Value(a / b),
        BinaryOp::Mod => Outcome::Value(a % b),
        BinaryOp::Pow => Outcome::Value(a.powf(b)),
        BinaryOp::Atan2 => Outcome::Value(a.atan2(b)),
        BinaryOp::Equal => Outcome::Holds(a == b),
        BinaryOp::NotEqual => Outcome::Holds(a != b),
        BinaryOp::Greater => Outcome::Holds(a > b),
        BinaryOp::Less => Outcome::Holds(a < b),
        BinaryOp::GreaterOrEqual => Outcome::Holds(a >= b),
        BinaryOp::LessOrEqual => Outcome::Holds(a <= b),
        other => return Err(Fault::Beyond(format!("{other:?}"))),
    })
}

/// A vector and a scalar: a comparison without `bool` keeps those series for which it holds, as they are.
fn each(vector: Vector, op: BinaryOp, return_bool: bool, sides: impl Fn(f64) -> (f64, f64)) -> Result<Value, Fault> {
    let mut out = Vec::new();
    for (labels, value) in vector {
        let (a, b) = sides(value);
        match apply(op, a, b)? {
            Outcome::Value(value) => out.push((unnamed(labels), value)),
            Outcome::Holds(holds) if return_bool => out.push((unnamed(labels), f64::from(u8::from(holds)))),
            Outcome::Holds(true) => out.push((labels, value)),
            Outcome::Holds(false) => {}
        }
    }
    Ok(Value::Vector(distinct(out)?))
}

/// Pairs series of both sides by their keys. On the side of `one` no key may stand twice.
fn matched(
    op: BinaryOp,
    lhs: &Vector,
    rhs: &Vector,
    return_bool: bool,
    matching: &VectorMatching,
    key: impl Fn(&LabelSet) -> LabelSet,
) -> Result<Value, Fault> {
    if matching.fill_left.is_some() || matching.fill_right.is_some() {
        return Err(Fault::Beyond("fill".to_owned()));
    }
    if lhs.is_empty() || rhs.is_empty() {
        return Ok(Value::Vector(Vec::new()));
    }
    let swapped = matching.card == Cardinality::OneToMany;
    let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
    let keys: BTreeSet<LabelSet> = one.iter().map(|(labels, _)| key(labels)).collect();
    if keys.len() < one.len() {
        return Err(Fault::Fails("found duplicate series for the match group"));
    }
    let (mut out, mut taken) = (Vec::new(), BTreeSet::new());
    for (labels, value) in many {
        let Some((other_labels, other)) = one.iter().find(|(one, _)| key(one) == key(labels)) else { continue };
        let (a, b) = if swapped { (*other, *value) } else { (*value, *other) };
        let (result, unnames) = match apply(op, a, b)? {
            Outcome::Value(value) => (value, true),
            Outcome::Holds(holds) if return_bool => (f64::from(u8::from(holds)), true),
            Outcome::Holds(true) => (a, false),
            Outcome::Holds(false) => continue,
        };
        if matching.card == Cardinality::OneToOne && !taken.insert(key(labels)) {
            return Err(Fault::Fails("multiple matches for labels: many-to-one matching must be explicit"));
        }
        let mut labels = result_labels(labels, other_labels, matching);
        if unnames {
            labels.remove(METRIC_NAME);
        }
        out.push((labels, result));
    }
    let sets: BTreeSet<&LabelSet> = out.iter().map(|(labels, _)| labels).collect();
    if sets.len() < out.len() {
        return Err(Fault::Fails("multiple matches for labels: grouping labels must ensure unique matches"));
    }
    Ok(Value::Vector(out))
}

fn result_labels(many: &LabelSet, one: &LabelSet, matching: &VectorMatching) -> LabelSet {
    let mut labels = match (matching.card, matching.on) {
        (Cardinality::OneToOne, true) => only(many, &matching.labels),
        (Cardinality::OneToOne, false) => {
            let mut labels = many.clone();
            matching.labels.iter().for_each(|name| _ = labels.remove(name));
            labels
        }
        _ => many.clone(),
    };
    for name in &matching.include {
        set(&mut labels, name, one.get(name).map_or("", String::as_str));
    }
    labels
}
