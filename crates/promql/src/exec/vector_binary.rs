//! Binary operators between two vectors.

use std::collections::BTreeMap;
use std::fmt;

use arrow::array::RecordBatch;
use duramen_model::{Labels, LabelsBuilder};
use duramen_syntax::PosRange;
use duramen_syntax::ast::{BinaryOp, Cardinality, VectorMatching};
use hashbrown::HashMap;

use crate::annotation::Annotations;
use crate::error::Error;
use crate::exec::allowance::Allowance;
use crate::exec::merge::Merged;
use crate::exec::whole::WholeOperator;
use crate::grid::Grid;
use crate::kernels::arithmetic;
use crate::kernels::binary::{applies, combine};
use crate::label_set::{Projection, marked, printed, unmarked, value_of, with_label};
use crate::name_removal::{NameRemoval, RemovalTime};
use crate::remark::Remark;
use crate::vector::{Cell, Row, Vector};

/// Series find each other by one hash over their matching labels; which of them are there is judged at each step, because two
/// series of one side may take turns.
#[derive(Debug)]
pub(crate) struct VectorBinary {
    pub(crate) op: BinaryOp,
    pub(crate) return_bool: bool,
    pub(crate) matching: VectorMatching,
    pub(crate) grid: Grid,
    pub(crate) annotations: Annotations,
    /// Of the whole expression, for remarks.
    pub(crate) pos: PosRange,
    pub(crate) names: NameRemoval,
}

/// The series of both sides that have the same matching labels.
#[derive(Default)]
struct Match<'a> {
    left: Vec<Row<'a>>,
    right: Vec<Row<'a>>,
}

impl Match<'_> {
    /// The first two series of the "one" side at a step, if there are two.
    fn doubled<'a>(&self, matched: &'a [u8], step: usize) -> Option<Doubled<'a>> {
        let present = self.right.iter().filter(|row| row.is_present(step));
        let mut present: Vec<Labels> = present.map(|row| Labels::from_encoded_trusted(unmarked(row.labels))).collect();
        present.sort();
        let mut first = present.into_iter();
        Some(Doubled { matched, earlier: first.next()?, later: first.next()? })
    }
}

/// Two series of which there may be one.
struct Doubled<'a> {
    matched: &'a [u8],
    earlier: Labels,
    later: Labels,
}

/// The two sides by matching labels, in the order in which those came up.
struct Matches<'a> {
    steps: usize,
    list: Vec<(Box<[u8]>, Match<'a>)>,
}

impl<'a> Matches<'a> {
    fn new(left: &'a Vector, right: &'a Vector, projection: &Projection, allowance: &Allowance) -> Result<Self, Error> {
        let mut ids: HashMap<Box<[u8]>, usize> = HashMap::new();
        let mut list: Vec<(Box<[u8]>, Match<'a>)> = Vec::new();
        let mut labels = LabelsBuilder::default();
        let sides = left.rows().map(|row| (row, true)).chain(right.rows().map(|row| (row, false)));
        for (row, is_left) in sides {
            allowance.check()?;
            projection.apply(row.labels, &mut labels);
            let id = *ids.entry_ref(labels.encoded()).or_insert_with(|| {
                list.push((labels.encoded().into(), Match::default()));
                list.len() - 1
            });
            let (_, found) = &mut list[id];
            if is_left { found.left.push(row) } else { found.right.push(row) }
        }
        Ok(Self { steps: left.steps, list })
    }

    /// At which steps the left side has any series at all.
    fn left_presence(&self) -> Vec<bool> {
        presence(self.list.iter().flat_map(|(_, found)| &found.left), self.steps)
    }
}

/// At which steps any of the rows is there.
fn presence<'r, 'a: 'r>(rows: impl IntoIterator<Item = &'r Row<'a>>, steps: usize) -> Vec<bool> {
    let mut any = vec![false; steps];
    for row in rows {
        any.iter_mut().enumerate().for_each(|(step, any)| *any |= row.is_present(step));
    }
    any
}

impl VectorBinary {
    fn projection(&self) -> Projection {
        if self.matching.on {
            Projection::keep(&self.matching.labels)
        } else {
            Projection::drop_with_name(&self.matching.labels)
        }
    }

    fn evaluate(&self, left: &Vector, right: &Vector, allowance: &Allowance) -> Result<Vec<RecordBatch>, Error> {
        let mut out = Merged::new(self.grid.steps, allowance);
        match self.op {
            BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => {
                self.combine_sets(&Matches::new(left, right, &self.projection(), allowance)?, &mut out)?;
            }
            // The "one" side is the right one below.
            _ if self.matching.card == Cardinality::OneToMany => {
                self.combine(&Matches::new(right, left, &self.projection(), allowance)?, &mut out)?;
            }
            _ => self.combine(&Matches::new(left, right, &self.projection(), allowance)?, &mut out)?,
        }
        Ok(out.finish(&self.grid))
    }

    fn combine_sets(&self, matches: &Matches<'_>, out: &mut Merged<'_>) -> Result<(), Error> {
        for (_, found) in &matches.list {
            let right = presence(&found.right, matches.steps);
            for row in &found.left {
                out.add_cells(row.labels, |step| match self.op {
                    BinaryOp::And => row.cell(step).filter(|_| right[step]),
                    BinaryOp::Unless => row.cell(step).filter(|_| !right[step]),
                    _ => row.cell(step),
                })?;
            }
            if self.op == BinaryOp::Or {
                let left = presence(&found.left, matches.steps);
                for row in &found.right {
                    out.add_cells(row.labels, |step| row.cell(step).filter(|_| !left[step]))?;
                }
            }
        }
        Ok(())
    }

    fn combine(&self, matches: &Matches<'_>, out: &mut Merged<'_>) -> Result<(), Error> {
        self.refuse_duplicates(matches, out.allowance)?;
        matches.list.iter().try_for_each(|(matched, found)| self.combine_match(matches.steps, matched, found, out))
    }

    /// What stands in for a missing series of the "many" side, and of the "one" side. Which side a fill is for does not change
    /// with `group_right`, as upstream has it.
    fn fills(&self) -> (Option<f64>, Option<f64>) {
        (self.matching.fill_left, self.matching.fill_right)
    }

    /// The "one" side may have one series of each matching labels at a step, where the other side has any series.
    fn refuse_duplicates(&self, matches: &Matches<'_>, allowance: &Allowance) -> Result<(), Error> {
        if matches.list.iter().all(|(_, found)| found.right.len() < 2) {
            return Ok(());
        }
        let others = matches.left_presence();
        let filled = self.fills().0.is_some();
        let doubled =
            |step: usize| matches.list.iter().filter_map(move |(matched, found)| found.doubled(matched, step));
        for step in (0..matches.steps).filter(|&step| others[step] || filled) {
            allowance.check()?;
            // The first that is met when the series are gone through in their order.
            if let Some(met) = doubled(step).min_by(|a, b| a.later.cmp(&b.later)) {
                return Err(self.duplicate(&met));
            }
        }
        Ok(())
    }

    fn duplicate(&self, met: &Doubled<'_>) -> Error {
        let side = if self.matching.card == Cardinality::OneToMany { "left" } else { "right" };
        Error::execution(format!(
            "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];many-to-many \
             matching not allowed: matching labels must be unique on one side",
            printed(met.matched),
            printed(met.earlier.encoded()),
            printed(met.later.encoded()),
        ))
    }

    /// Every pair of the two sides, and what stands in for a side that is missing at a step. After
    /// [`Self::refuse_duplicates`] there is at most one right series at a step.
    fn combine_match(
        &self,
        steps: usize,
        matched: &[u8],
        found: &Match<'_>,
        out: &mut Merged<'_>,
    ) -> Result<(), Error> {
        let mut pairs = Pairs { operator: self, steps, taken: HashMap::new(), out };
        match &found.right[..] {
            [right] => {
                for left in &found.left {
                    pairs
                        .add(left.labels, right.labels, 0..steps, |step| Some((left.cell(step)?, right.cell(step)?)))?;
                }
            }
            several => {
                let places = places(several, steps);
                for left in &found.left {
                    // Of many that take turns, each is asked for at its own steps only.
                    let mut met: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
                    for (step, at) in places.iter().enumerate().filter(|(step, _)| left.is_present(*step)) {
                        if let Some(at) = at {
                            met.entry(*at).or_default().push(step);
                        }
                    }
                    for (at, steps) in met {
                        let right = &several[at];
                        pairs.add(left.labels, right.labels, steps.iter().copied(), |step| {
                            Some((left.cell(step)?, right.cell(step)?))
                        })?;
                    }
                }
            }
        }
        let (many, one) = self.fills();
        if let Some(fill) = one {
            let there = presence(&found.right, steps);
            for left in &found.left {
                let pair = |step| Some((left.cell(step)?, Cell::Float(fill))).filter(|_| !there[step]);
                pairs.add(left.labels, matched, 0..steps, pair)?;
            }
        }
        if let Some(fill) = many {
            // What the operator is not for has not found a partner.
            let met = pairs.met();
            for right in &found.right {
                let pair = |step| Some((Cell::Float(fill), right.cell(step)?)).filter(|_| !met[step]);
                pairs.add(matched, right.labels, 0..steps, pair)?;
            }
        }
        Ok(())
    }

    /// The value of a pair, where `many` and `one` may have changed places.
    fn value<'c>(&self, many: Cell<'c>, one: Cell<'c>) -> Option<Cell<'c>> {
        let (a, b) = if self.matching.card == Cardinality::OneToMany { (one, many) } else { (many, one) };
        match (a, b) {
            (Cell::Float(a), Cell::Float(b)) if !arithmetic::is_trim(self.op) => {
                if self.op.is_comparison() && !self.return_bool {
                    return arithmetic::compare(self.op, a, b).then_some(Cell::Float(a));
                }
                Some(Cell::Float(arithmetic::value(self.op, a, b)))
            }
            (a, b) => {
                let mut remark = |remark: Remark<'_>| self.annotations.add(remark, self.pos);
                combine(self.op, self.return_bool, a.decode(), b.decode(), &mut remark).map(Cell::from)
            }
        }
    }

    /// Whether the operator is for such a pair at all.
    fn applies(&self, many: Cell<'_>, one: Cell<'_>) -> bool {
        match (many, one) {
            (Cell::Float(_), Cell::Float(_)) => !arithmetic::is_trim(self.op),
            (many, one) if self.matching.card == Cardinality::OneToMany => {
                applies(self.op, &one.decode(), &many.decode())
            }
            (many, one) => applies(self.op, &many.decode(), &one.decode()),
        }
    }

    /// Of arithmetic the name is gone, whenever names go; what either side was to lose, it keeps, as upstream has it.
    fn result_labels(&self, many: &[u8], one: &[u8]) -> Box<[u8]> {
        let mut labels = LabelsBuilder::default();
        let mut encoded: Box<[u8]> = unmarked(many).into();
        let mut project = |encoded: &mut Box<[u8]>, projection: Projection| {
            projection.apply(encoded, &mut labels);
            *encoded = labels.encoded().into();
        };
        let later = self.return_bool && self.names.time == RemovalTime::AtTheEnd;
        if arithmetic::drops_name(self.op, self.return_bool) && !later {
            project(&mut encoded, self.names.labels.others());
        }
        if self.matching.card == Cardinality::OneToOne {
            let names = &self.matching.labels;
            let kept = if self.matching.on { Projection::keep(names) } else { Projection::drop(names) };
            project(&mut encoded, kept);
        }
        for name in &self.matching.include {
            encoded = with_label(&encoded, name, value_of(one, name));
        }
        if later { marked(&encoded) } else { encoded }
    }
}

/// Which of the rows is there at each step: of the one that is met last, when there are several.
fn places(rows: &[Row<'_>], steps: usize) -> Vec<Option<usize>> {
    let mut places = vec![None; steps];
    for (at, row) in rows.iter().enumerate() {
        places
            .iter_mut()
            .enumerate()
            .filter(|(step, _)| row.is_present(*step))
            .for_each(|(_, place)| *place = Some(at));
    }
    places
}

/// The pairs of series that have the same matching labels, as they become results.
struct Pairs<'a, 'b> {
    operator: &'a VectorBinary,
    steps: usize,
    /// At which steps there is a pair already that the operator is for, by result labels; all of a one-to-one match compete.
    taken: HashMap<Box<[u8]>, Vec<bool>>,
    out: &'a mut Merged<'b>,
}

impl Pairs<'_, '_> {
    /// At which steps there is any pair.
    fn met(&self) -> Vec<bool> {
        let mut met = vec![false; self.steps];
        for taken in self.taken.values() {
            met.iter_mut().zip(taken).for_each(|(met, taken)| *met |= taken);
        }
        met
    }

    fn add<'c>(
        &mut self,
        many: &[u8],
        one: &[u8],
        steps: impl Iterator<Item = usize> + Clone,
        pair: impl Fn(usize) -> Option<(Cell<'c>, Cell<'c>)>,
    ) -> Result<(), Error> {
        let labels = self.operator.result_labels(many, one);
        let one_to_one = self.operator.matching.card == Cardinality::OneToOne;
        let key: &[u8] = if one_to_one { &[] } else { &labels };
        let taken = self.taken.entry_ref(key).or_insert_with(|| vec![false; self.steps]);
        for step in steps.clone() {
            let applies = pair(step).is_some_and(|(many, one)| self.operator.applies(many, one));
            if applies && std::mem::replace(&mut taken[step], true) {
                return Err(Error::execution(if one_to_one {
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                } else {
                    "multiple matches for labels: grouping labels must ensure unique matches"
                }));
            }
        }
        self.out.add_cells_at(&labels, steps, |step| pair(step).and_then(|(many, one)| self.operator.value(many, one)))
    }
}

impl WholeOperator for VectorBinary {
    const NAME: &'static str = "VectorBinaryExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VectorMatching { card, on, labels, include, fill_left, fill_right, .. } = &self.matching;
        let matched = if *on { "on" } else { "ignoring" };
        let bool = if self.return_bool { " bool" } else { "" };
        write!(f, "op={}{bool}, matching={card:?}, {matched}={labels:?}, include={include:?}", self.op.as_str())?;
        match (fill_left, fill_right) {
            (None, None) => Ok(()),
            (left, right) => write!(f, ", fill_left={left:?}, fill_right={right:?}"),
        }
    }

    fn grid(&self) -> &Grid {
        &self.grid
    }

    fn compute(&self, inputs: &[Vector], allowance: &Allowance) -> Result<Vec<RecordBatch>, Error> {
        self.evaluate(&inputs[0], &inputs[1], allowance)
    }
}
