//! Turns pairs of series with the same matching labels into results.

use std::collections::BTreeMap;

use duramen_model::LabelsBuilder;
use duramen_syntax::ast::{BinaryOp, Cardinality, VectorMatching};
use hashbrown::HashMap;

use crate::annotation::Annotation;
use crate::error::Error;
use crate::exec::support::merged::Merged;
use crate::kernels::arithmetic;
use crate::kernels::binary::{Combined, combine};
use crate::label_set::{Projection, marked, unmarked, value_of, with_label};
use crate::name_removal::{NameRemoval, RemovalTime};
use crate::vector::Cell;

/// The last annotation of each step. Of several annotations at a step, Prometheus reports only the
/// last.
#[derive(Debug, Default)]
pub(super) struct LastAnnotations {
    by_step: BTreeMap<usize, (PairRank, Annotation<'static>)>,
}

/// The order in which pairs are evaluated at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PairRank {
    /// A pair with this row of the "many" side.
    Met(usize),
    /// A filled pair with this row of the "one" side. It comes after all others.
    Filled(usize),
}

impl LastAnnotations {
    fn add(&mut self, step: usize, at: PairRank, annotation: Annotation<'static>) {
        let last = self.by_step.entry(step).or_insert((at, annotation));
        if last.0 <= at {
            *last = (at, annotation);
        }
    }

    pub(super) fn annotations(self) -> impl Iterator<Item = Annotation<'static>> {
        self.by_step.into_values().map(|(_, annotation)| annotation)
    }
}

/// How the pairs of an operator are combined.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pairing<'a> {
    pub(super) op: BinaryOp,
    pub(super) return_bool: bool,
    pub(super) matching: &'a VectorMatching,
    pub(super) names: NameRemoval,
    pub(super) steps: usize,
}

impl Pairing<'_> {
    /// Combines two cells. `many` and `one` may have been exchanged.
    fn combined<'c>(
        &self,
        many: Cell<'c>,
        one: Cell<'c>,
        annotate: &mut dyn FnMut(Annotation<'static>),
    ) -> Combined<Cell<'c>> {
        let (a, b) = if self.matching.card == Cardinality::OneToMany {
            (one, many)
        } else {
            (many, one)
        };

        match (a, b) {
            (Cell::Float(a), Cell::Float(b)) if !arithmetic::is_trim(self.op) => {
                if self.op.is_comparison() && !self.return_bool {
                    return Combined::filter(arithmetic::compare(self.op, a, b), Cell::Float(a));
                }

                Combined::Value(Cell::Float(arithmetic::value(self.op, a, b)))
            }
            (a, b) => {
                combine(self.op, self.return_bool, a.decode(), b.decode(), annotate).map(Cell::from)
            }
        }
    }

    /// Returns the labels of a result. Arithmetic drops the name at once, even with delayed
    /// removal. If either side is marked, so is the result, as in Prometheus.
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
            let kept = if self.matching.on {
                Projection::keep(names)
            } else {
                Projection::drop(names)
            };

            project(&mut encoded, kept);
        }

        for name in &self.matching.include {
            encoded = with_label(&encoded, name, value_of(one, name));
        }

        if later { marked(&encoded) } else { encoded }
    }
}

/// Two series that match, or one series and the matching labels of a missing side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    pub(super) many: &'a [u8],
    pub(super) one: &'a [u8],
    pub(super) rank: PairRank,
}

/// The pairs of series with the same matching labels.
pub(super) struct Pairs<'a, 'b> {
    pairing: Pairing<'a>,
    /// By result labels: at which steps there is a pair already. All pairs of a one-to-one match
    /// compete for the same steps.
    taken: HashMap<Box<[u8]>, Vec<bool>>,
    met: Vec<bool>,
    last: &'a mut LastAnnotations,
    out: &'a mut Merged<'b>,
}

impl<'a, 'b> Pairs<'a, 'b> {
    pub(super) fn new(
        pairing: Pairing<'a>,
        last: &'a mut LastAnnotations,
        out: &'a mut Merged<'b>,
    ) -> Self {
        Self {
            pairing,
            taken: HashMap::new(),
            met: vec![false; pairing.steps],
            last,
            out,
        }
    }

    /// Returns at which steps there is any pair.
    pub(super) fn met(&self) -> &[bool] {
        &self.met
    }

    pub(super) fn add<'c>(
        &mut self,
        Pair { many, one, rank }: Pair<'_>,
        steps: impl Iterator<Item = usize>,
        pair: impl Fn(usize) -> Option<(Cell<'c>, Cell<'c>)>,
    ) -> Result<(), Error> {
        let labels = self.pairing.result_labels(many, one);
        let one_to_one = self.pairing.matching.card == Cardinality::OneToOne;
        let key: &[u8] = if one_to_one { &[] } else { &labels };
        let taken = self
            .taken
            .entry_ref(key)
            .or_insert_with(|| vec![false; self.pairing.steps]);

        let mut twice = false;
        let pairing = self.pairing;
        let met = &mut self.met;
        let last = &mut *self.last;

        self.out.add_cells_at(&labels, steps, |step| {
            let (many, one) = pair(step)?;
            let combined = pairing.combined(many, one, &mut |annotation| {
                last.add(step, rank, annotation)
            });

            if matches!(combined, Combined::Unfit) {
                return None;
            }

            met[step] = true;
            twice |= std::mem::replace(&mut taken[step], true);
            combined.value().filter(|_| !twice)
        })?;

        match (twice, one_to_one) {
            (false, _) => Ok(()),
            (true, true) => Err(Error::execution(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
            )),
            (true, false) => Err(Error::execution(
                "multiple matches for labels: grouping labels must ensure unique matches",
            )),
        }
    }
}
