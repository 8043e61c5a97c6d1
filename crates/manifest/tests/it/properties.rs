//! Compares `apply` with a model that is too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use duramen_bucket::Author;
use duramen_manifest::object::{decode_snapshot, encode_snapshot, snapshot_parts};
use duramen_manifest::{Change, Commit, Edit, Fence, Flush, Flushed, State};
use object_store::path::Path;
use proptest::prelude::*;
use ulid::Ulid;

use crate::values::{block, identity};

#[derive(Debug, Clone)]
struct Step {
    writer: u128,
    epoch: u64,
    fence: bool,
    add: Vec<u128>,
    remove: Vec<u128>,
    flushed: Option<(u64, u64)>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let few = || prop::collection::vec(0..12_u128, 0..3);
    let step = (
        0..3_u128,
        1..4_u64,
        prop::bool::weighted(0.2),
        few(),
        few(),
        prop::option::of((0..8_u64, 0..8_u64)),
    );

    let step = step.prop_map(|(writer, epoch, fence, add, remove, flushed)| Step {
        writer,
        epoch,
        fence,
        add,
        remove,
        flushed,
    });

    prop::collection::vec(step, 0..60)
}

/// A model of sets and numbers only.
#[derive(Debug, Default, Clone)]
struct Model {
    live: BTreeSet<u128>,
    epochs: BTreeMap<u128, u64>,
    flushed: BTreeMap<u128, (u64, u64)>,
    sequence: u64,
}

impl Model {
    /// Applies the step if it is allowed, and returns whether it is.
    fn apply(&mut self, step: &Step) -> bool {
        let named: BTreeSet<_> = step.add.iter().chain(&step.remove).collect();
        let epoch = self.epochs.get(&step.writer).copied().unwrap_or(0);
        let is_plain = step.add.is_empty() && step.remove.is_empty() && step.flushed.is_none();

        let is_allowed = step.epoch >= epoch
            && (!step.fence || (step.epoch > epoch && is_plain))
            && named.len() == step.add.len() + step.remove.len()
            && step.add.iter().all(|block| !self.live.contains(block))
            && step.remove.iter().all(|block| self.live.contains(block))
            && step
                .flushed
                .zip(self.flushed.get(&step.writer))
                .is_none_or(|(new, old)| new.0 > old.0 && new.1 >= old.1);

        if is_allowed {
            self.live.extend(&step.add);
            self.live.retain(|block| !step.remove.contains(block));
            self.epochs.insert(step.writer, step.epoch);
            self.flushed
                .extend(step.flushed.map(|flushed| (step.writer, flushed)));
            self.sequence += 1;
        }

        is_allowed
    }
}

fn edit(step: &Step) -> Edit {
    let identity = identity(step.writer, step.epoch);
    let author = Author {
        writer: identity.writer,
        attempt: Ulid(0),
    };

    let writer = identity.writer;
    let incarnation = identity.incarnation;

    let flushed = |(flush, position)| Flushed {
        writer,
        epoch: step.epoch,
        incarnation,
        position,
        flush,
    };

    let add = step.add.iter().map(|id| block(*id)).collect();
    let remove = step
        .remove
        .iter()
        .map(|id| duramen_model::BlockId(Ulid(*id)))
        .collect();

    let mut commit = Commit::replace(remove, add);
    commit
        .changes
        .extend(step.flushed.map(|step| Change::Flush(Flush(flushed(step)))));

    if step.fence {
        commit.changes.insert(0, Change::Fence(Fence));
    }

    Edit::commit(identity, author, commit)
}

proptest! {
    #[test]
    fn a_state_is_what_its_edits_make_and_a_refused_edit_changes_nothing(steps in steps()) {
        let mut state = State::default();
        let mut model = Model::default();

        for step in &steps {
            let before = state.clone();
            let applied = state.apply(&edit(step)).is_ok();

            prop_assert_eq!(applied, model.apply(step), "{:?}", step);

            if !applied {
                prop_assert_eq!(&state, &before);
            }

            prop_assert_eq!(state.sequence, model.sequence);
            prop_assert_eq!(state.blocks.keys().map(|id| id.0.0).collect::<BTreeSet<_>>(), model.live.clone());

            let flushed: BTreeMap<_, _> = state.flushed.iter().map(|(w, f)| (w.0.0, (f.flush, f.position))).collect();
            prop_assert_eq!(&flushed, &model.flushed);
        }
    }

    #[test]
    fn a_state_comes_back_from_its_snapshot_however_many_objects_it_is_in(steps in steps(), bytes_max in 1..3_000_usize) {
        let mut state = State::default();
        for step in &steps {
            let _ = state.apply(&edit(step));
        }

        let part = |part: usize| Path::from(format!("s-{part}"));
        let bodies = encode_snapshot(&state, bytes_max, part);
        let parts: Vec<_> = bodies.parts.into_iter().enumerate().map(|(n, body)| (part(n), Bytes::from(body))).collect();
        let key = Path::from("s");
        let named = snapshot_parts(&key, &bodies.first).unwrap();

        prop_assert_eq!(named, parts.iter().map(|(key, _)| key.to_string()).collect::<Vec<_>>());
        prop_assert_eq!(decode_snapshot(&key, state.sequence, &bodies.first, &parts).unwrap(), state.clone());
        prop_assert!(decode_snapshot(&key, state.sequence + 1, &bodies.first, &parts).is_err());

        if !parts.is_empty() {
            prop_assert!(decode_snapshot(&key, state.sequence, &bodies.first, &parts[1..]).is_err());
        }
    }
}
