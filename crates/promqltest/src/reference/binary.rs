//! Binary operations.

use std::collections::{BTreeMap, BTreeSet};

use duramen_model::{METRIC_NAME, ResetHint};
use duramen_syntax::ast::{BinaryOp, Cardinality, VectorMatching};

use super::histogram::Histogram;
use super::histogram::trim::Stays;
use super::labels::{LabelSet, only, set, without};
use super::value::{Element, Fault, Sample, Value, Vector, distinct};
use super::{Evaluation, NameRemoval};

impl Evaluation<'_> {
    pub(super) fn binary(
        &self,
        op: BinaryOp,
        lhs: Value,
        rhs: Value,
        return_bool: bool,
        matching: Option<&VectorMatching>,
    ) -> Result<Value, Fault> {
        match (lhs, rhs) {
            (Value::Scalar(a), Value::Scalar(b)) => match of_floats(op, a, b)? {
                Some(Outcome::Value(Sample::Float(value))) => Ok(Value::Scalar(value)),
                Some(Outcome::Holds(holds)) => Ok(Value::Scalar(f64::from(u8::from(holds)))),
                _ => Err(Fault::Beyond(format!("{op:?} of scalars"))),
            },
            (Value::Vector(vector), Value::Scalar(b)) => {
                self.with_scalar(vector, return_bool, |sample| {
                    apply(op, sample, &Sample::Float(b))
                })
            }
            (Value::Scalar(a), Value::Vector(vector)) => {
                self.with_scalar(vector, return_bool, |sample| {
                    apply(op, &Sample::Float(a), sample)
                })
            }
            (Value::Vector(lhs), Value::Vector(rhs)) => {
                let matching = matching
                    .ok_or_else(|| Fault::Beyond("vectors without a matching".to_owned()))?;

                match op {
                    BinaryOp::And | BinaryOp::Unless => {
                        let keys: BTreeSet<LabelSet> =
                            rhs.iter().map(|e| key(&e.labels, matching)).collect();
                        let stays = |e: &Element| {
                            keys.contains(&key(&e.labels, matching)) == (op == BinaryOp::And)
                        };
                        Ok(Value::Vector(lhs.into_iter().filter(stays).collect()))
                    }
                    BinaryOp::Or => {
                        let keys: BTreeSet<LabelSet> =
                            lhs.iter().map(|e| key(&e.labels, matching)).collect();
                        let more = rhs
                            .into_iter()
                            .filter(|e| !keys.contains(&key(&e.labels, matching)));
                        Ok(Value::Vector(distinct(
                            lhs.into_iter().chain(more).collect(),
                        )?))
                    }
                    _ => self.matched(op, lhs, rhs, return_bool, matching),
                }
            }
        }
    }

    /// Applies an operator to each element and a scalar. A comparison without `bool` keeps the
    /// elements for which it holds, unchanged.
    fn with_scalar(
        &self,
        vector: Vector,
        return_bool: bool,
        outcome: impl Fn(&Sample) -> Result<Option<Outcome>, Fault>,
    ) -> Result<Value, Fault> {
        let mut out = Vec::new();

        for element in vector {
            match outcome(&element.sample)? {
                Some(Outcome::Value(sample)) => {
                    out.push(self.unnamed(Element { sample, ..element }))
                }
                Some(Outcome::Kept(sample)) => out.push(Element { sample, ..element }),
                Some(Outcome::Holds(holds)) if return_bool => {
                    out.push(self.unnamed(Element {
                        sample: truth(holds),
                        ..element
                    }));
                }
                Some(Outcome::Holds(true)) => out.push(element),
                Some(Outcome::Holds(false)) | None => {}
            }
        }

        Ok(Value::Vector(distinct(out)?))
    }

    /// Pairs the series of both sides by their keys. On the side `one`, each key must be unique. A
    /// series without a partner is paired with the fill value, if there is one.
    fn matched(
        &self,
        op: BinaryOp,
        lhs: Vector,
        rhs: Vector,
        return_bool: bool,
        matching: &VectorMatching,
    ) -> Result<Value, Fault> {
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        if (lhs.is_empty() && rhs.is_empty()) || (!fills && (lhs.is_empty() || rhs.is_empty())) {
            return Ok(Value::Vector(Vec::new()));
        }

        let swapped = matching.card == Cardinality::OneToMany;
        let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
        let one_by_key: BTreeMap<LabelSet, &Element> =
            one.iter().map(|e| (key(&e.labels, matching), e)).collect();

        if one_by_key.len() < one.len() {
            return Err(Fault::Fails("found duplicate series for the match group"));
        }

        let filled = |key: &LabelSet, value: f64| Element::new(key.clone(), value);

        // `group_right` swaps the sides of a fill too: `fill_right` is always for the side `one`.
        let fill_many = matching.fill_left;
        let fill_one = matching.fill_right;
        let mut taken: BTreeSet<(LabelSet, LabelSet)> = BTreeSet::new();
        let mut out = Vec::new();

        for element in many {
            let key = key(&element.labels, matching);
            let partner = one_by_key.get(&key).map(|partner| (*partner).clone());

            if let Some(one) = partner.or_else(|| fill_one.map(|value| filled(&key, value))) {
                let many = element;
                let pair = Pair { key, many, one };
                out.extend(self.combined(op, return_bool, matching, &pair, &mut taken)?);
            }
        }

        if let Some(value) = fill_many {
            for (key, element) in &one_by_key {
                if !taken.iter().any(|(taken, _)| taken == key) {
                    let pair = Pair {
                        key: key.clone(),
                        many: filled(key, value),
                        one: (*element).clone(),
                    };

                    out.extend(self.combined(op, return_bool, matching, &pair, &mut taken)?);
                }
            }
        }

        Ok(Value::Vector(distinct(out)?))
    }

    /// Applies the operator to a pair. `taken` has the keys that have a result, each with the
    /// labels of the result if several are allowed.
    fn combined(
        &self,
        op: BinaryOp,
        return_bool: bool,
        matching: &VectorMatching,
        pair: &Pair,
        taken: &mut BTreeSet<(LabelSet, LabelSet)>,
    ) -> Result<Option<Element>, Fault> {
        let Pair { key, many, one } = pair;
        let (a, b) = if matching.card == Cardinality::OneToMany {
            (one, many)
        } else {
            (many, one)
        };

        let Some(outcome) = apply(op, &a.sample, &b.sample)? else {
            return Ok(None);
        };

        let labels = self.result_labels(op, return_bool, &many.labels, &one.labels, matching);
        let one_of_key = if matching.card == Cardinality::OneToOne {
            LabelSet::new()
        } else {
            labels.clone()
        };

        if !taken.insert((key.clone(), one_of_key)) {
            return Err(Fault::Fails("multiple matches for labels"));
        }

        let sample = match outcome {
            Outcome::Value(sample) | Outcome::Kept(sample) => sample,
            Outcome::Holds(holds) if return_bool => truth(holds),
            Outcome::Holds(true) => a.sample.clone(),
            Outcome::Holds(false) => return Ok(None),
        };

        Ok(Some(Element {
            labels,
            nameless: return_bool,
            sample,
        }))
    }

    fn result_labels(
        &self,
        op: BinaryOp,
        return_bool: bool,
        many: &LabelSet,
        one: &LabelSet,
        matching: &VectorMatching,
    ) -> LabelSet {
        let mut labels = many.clone();
        let is_arithmetic =
            !op.is_comparison() && !matches!(op, BinaryOp::TrimLower | BinaryOp::TrimUpper);

        if is_arithmetic || return_bool && self.known.names == NameRemoval::AtOnce {
            labels.remove(METRIC_NAME);
        }

        match (matching.card, matching.on) {
            (Cardinality::OneToOne, true) => labels = only(&labels, &matching.labels),
            (Cardinality::OneToOne, false) => matching
                .labels
                .iter()
                .for_each(|name| _ = labels.remove(name)),
            _ => {}
        }

        for name in &matching.include {
            set(&mut labels, name, one.get(name).map_or("", String::as_str));
        }

        labels
    }
}

fn key(labels: &LabelSet, matching: &VectorMatching) -> LabelSet {
    match matching.on {
        true => only(labels, &matching.labels),
        false => without(labels, &matching.labels),
    }
}

/// Two series with the same key, each on its side of the matching.
struct Pair {
    key: LabelSet,
    many: Element,
    one: Element,
}

/// The result of an operator for two values.
enum Outcome {
    Value(Sample),
    /// A part of the left value, which still describes the same metric.
    Kept(Sample),
    Holds(bool),
}

fn truth(holds: bool) -> Sample {
    Sample::Float(f64::from(u8::from(holds)))
}

/// Applies an operator to two values. Returns `None` if the operator is not defined for them.
fn apply(op: BinaryOp, a: &Sample, b: &Sample) -> Result<Option<Outcome>, Fault> {
    let value = |histogram: Histogram| Some(Outcome::Value(Sample::from(histogram.compact())));
    Ok(match (a, b) {
        (Sample::Float(a), Sample::Float(b)) => return of_floats(op, *a, *b),
        (Sample::Float(a), Sample::Histogram(b)) => match op {
            BinaryOp::Mul => value(b.scaled(*a)),
            _ => None,
        },
        (Sample::Histogram(a), Sample::Float(b)) => match op {
            BinaryOp::Mul => value(a.scaled(*b)),
            BinaryOp::Div => value(a.divided(*b)),
            BinaryOp::TrimUpper => Some(Outcome::Kept(Sample::from(a.trimmed(*b, Stays::Below)))),
            BinaryOp::TrimLower => Some(Outcome::Kept(Sample::from(a.trimmed(*b, Stays::Above)))),
            _ => None,
        },
        (Sample::Histogram(a), Sample::Histogram(b)) => match op {
            // If one hint says reset and the other says no reset, there is no result.
            BinaryOp::Add | BinaryOp::Sub if contradict(a.hint, b.hint) => None,
            BinaryOp::Add => a.plus(b).and_then(value),
            BinaryOp::Sub => a.minus(b).and_then(|difference| {
                value(Histogram {
                    hint: ResetHint::Gauge,
                    ..difference
                })
            }),
            BinaryOp::Equal => Some(Outcome::Holds(a.same(b))),
            BinaryOp::NotEqual => Some(Outcome::Holds(!a.same(b))),
            _ => None,
        },
    })
}

fn contradict(a: ResetHint, b: ResetHint) -> bool {
    matches!(
        (a, b),
        (ResetHint::Reset, ResetHint::NotReset) | (ResetHint::NotReset, ResetHint::Reset)
    )
}

fn of_floats(op: BinaryOp, a: f64, b: f64) -> Result<Option<Outcome>, Fault> {
    let value = |value: f64| Some(Outcome::Value(Sample::Float(value)));
    Ok(match op {
        BinaryOp::Add => value(a + b),
        BinaryOp::Sub => value(a - b),
        BinaryOp::Mul => value(a * b),
        BinaryOp::Div => value(a / b),
        BinaryOp::Mod => value(a % b),
        BinaryOp::Pow => value(a.powf(b)),
        BinaryOp::Atan2 => value(a.atan2(b)),
        BinaryOp::Equal => Some(Outcome::Holds(a == b)),
        BinaryOp::NotEqual => Some(Outcome::Holds(a != b)),
        BinaryOp::Greater => Some(Outcome::Holds(a > b)),
        BinaryOp::Less => Some(Outcome::Holds(a < b)),
        BinaryOp::GreaterOrEqual => Some(Outcome::Holds(a >= b)),
        BinaryOp::LessOrEqual => Some(Outcome::Holds(a <= b)),
        BinaryOp::TrimLower | BinaryOp::TrimUpper => None,
        other => return Err(Fault::Beyond(format!("{other:?}"))),
    })
}
