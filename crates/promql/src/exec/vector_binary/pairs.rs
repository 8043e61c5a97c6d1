//! The pairs of series that have the same matching labels, as they become results.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::VectorBinary;
use crate::error::Error;
use crate::exec::merge::Merged;
use crate::kernels::binary::Combined;
use crate::remark::Remark;
use crate::vector::Cell;
use duramen_syntax::ast::Cardinality;

/// The last remark of each step: of several upstream tells that one alone.
#[derive(Debug, Default)]
pub(super) struct LastRemarks {
    by_step: BTreeMap<usize, (Place, Remark<'static>)>,
}

/// When a pair has its turn at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// With this row of the "many" side.
    Met(usize),
    /// With this row of the "one" side, which met nothing: behind all others.
    Filled(usize),
}

impl LastRemarks {
    fn add(&mut self, step: usize, at: Place, remark: Remark<'static>) {
        let last = self.by_step.entry(step).or_insert((at, remark));
        if last.0 <= at {
            *last = (at, remark);
        }
    }

    pub(super) fn remarks(self) -> impl Iterator<Item = Remark<'static>> {
        self.by_step.into_values().map(|(_, remark)| remark)
    }
}

/// Two series that meet, or one and the matching labels of a side that is missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn<'a> {
    pub(super) many: &'a [u8],
    pub(super) one: &'a [u8],
    pub(super) at: Place,
}

/// See the module's text.
pub(super) struct Pairs<'a, 'b> {
    operator: &'a VectorBinary,
    /// At which steps there is a pair already, by result labels; all of a one-to-one match compete.
    taken: HashMap<Box<[u8]>, Vec<bool>>,
    met: Vec<bool>,
    last: &'a mut LastRemarks,
    out: &'a mut Merged<'b>,
}

impl<'a, 'b> Pairs<'a, 'b> {
    pub(super) fn new(
        operator: &'a VectorBinary,
        last: &'a mut LastRemarks,
        out: &'a mut Merged<'b>,
    ) -> Self {
        Self {
            operator,
            taken: HashMap::new(),
            met: vec![false; operator.grid.steps],
            last,
            out,
        }
    }

    /// At which steps there is any pair that the operator is for.
    pub(super) fn met(&self) -> &[bool] {
        &self.met
    }

    pub(super) fn add<'c>(
        &mut self,
        Turn { many, one, at }: Turn<'_>,
        steps: impl Iterator<Item = usize>,
        pair: impl Fn(usize) -> Option<(Cell<'c>, Cell<'c>)>,
    ) -> Result<(), Error> {
        let labels = self.operator.result_labels(many, one);
        let one_to_one = self.operator.matching.card == Cardinality::OneToOne;
        let key: &[u8] = if one_to_one { &[] } else { &labels };
        let taken = self
            .taken
            .entry_ref(key)
            .or_insert_with(|| vec![false; self.operator.grid.steps]);

        let mut twice = false;
        let operator = self.operator;
        let met = &mut self.met;
        let last = &mut *self.last;

        self.out.add_cells_at(&labels, steps, |step| {
            let (many, one) = pair(step)?;
            let combined = operator.combined(many, one, &mut |remark| last.add(step, at, remark));

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
