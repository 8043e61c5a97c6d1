//! Binary operators between two vectors.

mod pairs;

use std::collections::BTreeMap;
use std::fmt;

use arrow::array::RecordBatch;
use duramen_model::{Labels, LabelsBuilder};
use duramen_syntax::PosRange;
use duramen_syntax::ast::{BinaryOp, Cardinality, VectorMatching};
use hashbrown::HashMap;

use crate::error::Error;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::merged::Merged;
use crate::exec::support::whole_input::WholeInputOperator;
use crate::grid::Grid;
use crate::label_set::{Projection, printed, unmarked};
use crate::name_removal::NameRemoval;
use crate::vector::{Cell, Row, Vector};
use pairs::{LastAnnotations, Pair, PairRank, Pairing, Pairs};

/// Matches series of both sides by a hash of their matching labels. Whether a series is present is
/// decided at each step, because two series of one side may alternate.
#[derive(Debug, PartialEq)]
pub(crate) struct VectorBinary {
    pub(crate) op: BinaryOp,
    pub(crate) return_bool: bool,
    pub(crate) matching: VectorMatching,
    pub(crate) grid: Grid,
    /// The position of the whole expression, for annotations.
    pub(crate) pos: PosRange,
    pub(crate) names: NameRemoval,
}

/// The series of both sides with the same matching labels.
#[derive(Default)]
struct Match<'a> {
    left: Vec<Row<'a>>,
    right: Vec<Row<'a>>,
    /// The indexes of these rows in their vector.
    left_at: Vec<usize>,
    right_at: Vec<usize>,
}

impl Match<'_> {
    /// Returns the first two series of the "one" side at a step, if there are two.
    fn doubled<'a>(&self, matched: &'a [u8], step: usize) -> Option<Doubled<'a>> {
        let present = || self.right.iter().filter(|row| row.is_present(step));
        present().nth(1)?;

        let mut labels: Vec<_> = present()
            .map(|row| Labels::from_encoded_trusted(unmarked(row.labels)))
            .collect();
        labels.sort();

        let mut first = labels.into_iter();
        Some(Doubled {
            matched,
            earlier: first.next()?,
            later: first.next()?,
        })
    }
}

/// Two series where only one is allowed.
struct Doubled<'a> {
    matched: &'a [u8],
    earlier: Labels,
    later: Labels,
}

/// The two sides by matching labels, in the order in which the labels were first seen.
struct Matches<'a> {
    steps: usize,
    list: Vec<(Box<[u8]>, Match<'a>)>,
}

impl<'a> Matches<'a> {
    fn new(
        left: &'a Vector,
        right: &'a Vector,
        projection: &Projection,
        allowance: &Allowance,
    ) -> Result<Self, Error> {
        let mut ids: HashMap<Box<[u8]>, usize> = HashMap::new();
        let mut list: Vec<(Box<[u8]>, Match<'a>)> = Vec::new();
        let mut labels = LabelsBuilder::default();
        let sides = left.rows().enumerate().map(|row| (row, true));
        let sides = sides.chain(right.rows().enumerate().map(|row| (row, false)));

        for ((at, row), is_left) in sides {
            allowance.check()?;
            projection.apply(row.labels, &mut labels);

            let id = *ids.entry_ref(labels.encoded()).or_insert_with(|| {
                list.push((labels.encoded().into(), Match::default()));
                list.len() - 1
            });

            let (_, found) = &mut list[id];
            let (rows, places) = match is_left {
                true => (&mut found.left, &mut found.left_at),
                false => (&mut found.right, &mut found.right_at),
            };

            rows.push(row);
            places.push(at);
        }

        Ok(Self {
            steps: left.steps,
            list,
        })
    }

    /// Returns at which steps the left side has any series.
    fn left_presence(&self) -> Vec<bool> {
        presence(
            self.list.iter().flat_map(|(_, found)| &found.left),
            self.steps,
        )
    }
}

/// Returns at which steps any of the rows is present.
fn presence<'r, 'a: 'r>(rows: impl IntoIterator<Item = &'r Row<'a>>, steps: usize) -> Vec<bool> {
    let mut any = vec![false; steps];
    for row in rows {
        any.iter_mut()
            .enumerate()
            .for_each(|(step, any)| *any |= row.is_present(step));
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

    fn evaluate(
        &self,
        left: &Vector,
        right: &Vector,
        allowance: &Allowance,
    ) -> Result<Vec<RecordBatch>, Error> {
        let mut out = Merged::new(self.grid.steps, allowance);

        match self.op {
            BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => {
                self.combine_sets(
                    &Matches::new(left, right, &self.projection(), allowance)?,
                    &mut out,
                )?;
            }
            // In the rest of this file, the "one" side is on the right.
            _ if self.matching.card == Cardinality::OneToMany => {
                self.combine(
                    &Matches::new(right, left, &self.projection(), allowance)?,
                    &mut out,
                )?;
            }
            _ => self.combine(
                &Matches::new(left, right, &self.projection(), allowance)?,
                &mut out,
            )?,
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

        let mut last = LastAnnotations::default();
        let mut combine = |(matched, found): &(Box<[u8]>, Match<'_>)| {
            self.combine_match(matched, found, &mut last, out)
        };
        matches.list.iter().try_for_each(&mut combine)?;
        last.annotations()
            .for_each(|annotation| out.allowance.annotations().add(annotation, self.pos));

        Ok(())
    }

    /// Returns the fill values for a missing series of the "many" side, and of the "one" side.
    /// `group_right` does not exchange them, as in Prometheus' test scripts. Prometheus itself
    /// exchanges them since 3.16.
    fn fills(&self) -> (Option<f64>, Option<f64>) {
        (self.matching.fill_left, self.matching.fill_right)
    }

    /// Returns an error if the "one" side has several series with the same matching labels at a
    /// step. It is checked at steps at which the other side has any series or is filled.
    fn refuse_duplicates(&self, matches: &Matches<'_>, allowance: &Allowance) -> Result<(), Error> {
        let several: Vec<_> = matches
            .list
            .iter()
            .filter(|(_, found)| found.right.len() > 1)
            .collect();

        if several.is_empty() {
            return Ok(());
        }

        let others = matches.left_presence();
        let filled = self.matching.fill_left.is_some() || self.matching.fill_right.is_some();

        let doubled = |step: usize| {
            several
                .iter()
                .filter_map(move |(matched, found)| found.doubled(matched, step))
        };

        for step in (0..matches.steps).filter(|&step| others[step] || filled) {
            allowance.check()?;

            // The error is about the first pair in the order of the series.
            if let Some(met) = doubled(step).min_by(|a, b| a.later.cmp(&b.later)) {
                return Err(self.duplicate(&met));
            }
        }

        Ok(())
    }

    fn duplicate(&self, met: &Doubled<'_>) -> Error {
        let side = if self.matching.card == Cardinality::OneToMany {
            "left"
        } else {
            "right"
        };

        Error::execution(format!(
            "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];many-to-many \
             matching not allowed: matching labels must be unique on one side",
            printed(met.matched),
            printed(met.earlier.encoded()),
            printed(met.later.encoded()),
        ))
    }

    /// Combines every pair of the two sides, and fills a side that is missing at a step. After
    /// [`Self::refuse_duplicates`] there is at most one right series at a step.
    fn combine_match(
        &self,
        matched: &[u8],
        found: &Match<'_>,
        last: &mut LastAnnotations,
        out: &mut Merged<'_>,
    ) -> Result<(), Error> {
        let steps = self.grid.steps;
        let pairing = Pairing {
            op: self.op,
            return_bool: self.return_bool,
            matching: &self.matching,
            names: self.names,
            steps,
        };

        let mut pairs = Pairs::new(pairing, last, out);
        self.pair_present(found, &mut pairs)?;

        let (many, one) = self.fills();

        if let Some(fill) = one {
            self.fill_one_side(matched, found, fill, &mut pairs)?;
        }

        if let Some(fill) = many {
            self.fill_many_side(matched, found, fill, &mut pairs)?;
        }

        Ok(())
    }

    /// Adds the pairs of two series that are both present.
    fn pair_present(&self, found: &Match<'_>, pairs: &mut Pairs<'_, '_>) -> Result<(), Error> {
        let steps = self.grid.steps;

        match &found.right[..] {
            [right] => {
                for (left, at) in found.left.iter().zip(&found.left_at) {
                    let pair = Pair {
                        many: left.labels,
                        one: right.labels,
                        rank: PairRank::Met(*at),
                    };

                    pairs.add(pair, 0..steps, |step| {
                        Some((left.cell(step)?, right.cell(step)?))
                    })?;
                }
            }
            several => {
                let places = places(several, steps);

                for (left, left_at) in found.left.iter().zip(&found.left_at) {
                    for (at, steps) in steps_by_place(left, &places) {
                        let right = &several[at];
                        let pair = Pair {
                            many: left.labels,
                            one: right.labels,
                            rank: PairRank::Met(*left_at),
                        };

                        pairs.add(pair, steps.iter().copied(), |step| {
                            Some((left.cell(step)?, right.cell(step)?))
                        })?;
                    }
                }
            }
        }

        Ok(())
    }

    /// Adds the series of the "many" side at the steps at which the "one" side is missing. The
    /// matching labels and `fill` replace it.
    fn fill_one_side(
        &self,
        matched: &[u8],
        found: &Match<'_>,
        fill: f64,
        pairs: &mut Pairs<'_, '_>,
    ) -> Result<(), Error> {
        let steps = self.grid.steps;
        let there = presence(&found.right, steps);

        for (left, at) in found.left.iter().zip(&found.left_at) {
            let pair = |step| Some((left.cell(step)?, Cell::Float(fill))).filter(|_| !there[step]);
            pairs.add(
                Pair {
                    many: left.labels,
                    one: matched,
                    rank: PairRank::Met(*at),
                },
                0..steps,
                pair,
            )?;
        }

        Ok(())
    }

    /// Adds the series of the "one" side at the steps at which it has no pair yet. The matching
    /// labels and `fill` replace the "many" side.
    fn fill_many_side(
        &self,
        matched: &[u8],
        found: &Match<'_>,
        fill: f64,
        pairs: &mut Pairs<'_, '_>,
    ) -> Result<(), Error> {
        let steps = self.grid.steps;
        let there = pairs.met().to_vec();

        for (right, at) in found.right.iter().zip(&found.right_at) {
            let pair = |step| Some((Cell::Float(fill), right.cell(step)?)).filter(|_| !there[step]);
            pairs.add(
                Pair {
                    many: matched,
                    one: right.labels,
                    rank: PairRank::Filled(*at),
                },
                0..steps,
                pair,
            )?;
        }

        Ok(())
    }
}

/// Returns the steps at which each right row meets `left`, by the place of the right row. Right
/// rows may alternate, so each is paired only at the steps at which it is present.
fn steps_by_place(left: &Row<'_>, places: &[Option<usize>]) -> BTreeMap<usize, Vec<usize>> {
    let mut met: BTreeMap<usize, Vec<usize>> = BTreeMap::new();

    for (step, at) in places
        .iter()
        .enumerate()
        .filter(|(step, _)| left.is_present(*step))
    {
        if let Some(at) = at {
            met.entry(*at).or_default().push(step);
        }
    }

    met
}

/// Returns the index of the row that is present at each step. If there are several, the last one.
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

impl WholeInputOperator for VectorBinary {
    const NAME: &'static str = "VectorBinaryExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VectorMatching {
            card,
            on,
            labels,
            include,
            fill_left,
            fill_right,
            ..
        } = &self.matching;

        let matched = if *on { "on" } else { "ignoring" };
        let bool = if self.return_bool { " bool" } else { "" };

        write!(
            f,
            "op={}{bool}, matching={card:?}, {matched}={labels:?}, include={include:?}",
            self.op.as_str()
        )?;

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
