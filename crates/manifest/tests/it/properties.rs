//! Compares `apply` with a model that is too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet};

use duramen_bucket::Author;
use duramen_manifest::object::{SnapshotReader, encode_snapshot};
use duramen_manifest::{Commit, Edit, Fence, Flush, Flushed, Horizon, Quarantine, State};
use duramen_model::{BlockEntry, BlockId, Content, NameBounds};
use object_store::path::Path;
use proptest::prelude::*;
use ulid::Ulid;

use crate::values::{block, content, identity};

#[derive(Debug, Clone)]
struct Step {
    writer: u128,
    epoch: u64,
    fence: bool,
    add: Vec<u128>,
    remove: Vec<u128>,
    flushed: Option<(u64, u64)>,
    horizon: Option<u128>,
    damaged: Option<u128>,
    released: Option<u128>,
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
        prop::option::weighted(0.05, 0..12_u128),
        prop::option::weighted(0.1, 0..12_u128),
        prop::option::weighted(0.1, 0..12_u128),
    );

    let step = step.prop_map(
        |(writer, epoch, fence, add, remove, flushed, horizon, damaged, released)| Step {
            writer,
            epoch,
            fence,
            add,
            remove,
            flushed,
            horizon,
            damaged,
            released,
        },
    );

    prop::collection::vec(step, 0..60)
}

/// A model of sets and numbers only. All live blocks of one content are siblings.
#[derive(Debug, Default, Clone)]
struct Model {
    live: BTreeMap<u128, Content>,
    epochs: BTreeMap<u128, u64>,
    flushed: BTreeMap<u128, (u64, u64)>,
    horizon: Option<u128>,
    quarantined: BTreeSet<u128>,
    sequence: u64,
}

impl Model {
    /// Applies the step if it is allowed, and returns whether it is.
    fn apply(&mut self, step: &Step) -> bool {
        let named: BTreeSet<_> = step.add.iter().chain(&step.remove).collect();
        let epoch = self.epochs.get(&step.writer).copied().unwrap_or(0);
        let is_plain = step.add.is_empty()
            && step.remove.is_empty()
            && step.flushed.is_none()
            && step.horizon.is_none()
            && step.damaged.is_none()
            && step.released.is_none();

        let is_allowed = step.epoch >= epoch
            && (!step.fence || (step.epoch > epoch && is_plain))
            && named.len() == step.add.len() + step.remove.len()
            && step
                .add
                .iter()
                .all(|block| self.horizon.is_none_or(|horizon| *block >= horizon))
            && step
                .horizon
                .is_none_or(|new| self.horizon.is_none_or(|old| new > old))
            && step
                .damaged
                .is_none_or(|block| self.live.contains_key(&block))
            && step.released.is_none_or(|block| {
                self.quarantined.contains(&block) && step.damaged != Some(block)
            })
            && step.add.iter().all(|block| !self.live.contains_key(block))
            && step
                .remove
                .iter()
                .all(|block| self.live.contains_key(block))
            && (step.add.is_empty() || self.takes_all_siblings(step))
            && step
                .flushed
                .zip(self.flushed.get(&step.writer))
                .is_none_or(|(new, old)| new.0 > old.0 && new.1 >= old.1);

        if is_allowed {
            let added: Vec<_> = step
                .add
                .iter()
                .map(|id| (*id, self.content_of(step, *id)))
                .collect();

            self.live.retain(|block, _| !step.remove.contains(block));
            self.live.extend(added);
            self.quarantined.extend(step.damaged);
            let live = &self.live;
            self.quarantined.retain(|block| {
                step.released != Some(*block)
                    && live.contains_key(block)
                    && !step.add.contains(block)
            });
            self.horizon = step.horizon.or(self.horizon);
            self.epochs.insert(step.writer, step.epoch);
            self.flushed
                .extend(step.flushed.map(|flushed| (step.writer, flushed)));
            self.sequence += 1;
        }

        is_allowed
    }

    /// The contents of the blocks that the step removes.
    fn removed(&self, step: &Step) -> BTreeSet<Content> {
        let live = step.remove.iter().filter_map(|id| self.live.get(id));
        live.copied().collect()
    }

    /// The content that the step gives block `id`.
    fn content_of(&self, step: &Step, id: u128) -> Content {
        let removed = self.removed(step);

        if removed.is_empty() {
            content(id)
        } else {
            Content::of_merge(removed)
        }
    }

    /// Whether no sibling of a removed block stays, unless the added blocks join it.
    fn takes_all_siblings(&self, step: &Step) -> bool {
        let removed = self.removed(step);
        let merged = Content::of_merge(removed.iter().copied());

        self.live.iter().all(|(id, content)| {
            step.remove.contains(id) || *content == merged || !removed.contains(content)
        })
    }
}

/// Makes a block whose only name is its number, so that it can be a sibling of any other.
fn named_block(id: u128, content: Content) -> BlockEntry {
    let name = format!("metric_{id:03}");
    let mut entry = BlockEntry {
        content,
        ..block(id)
    };

    entry.stats.names = Some(NameBounds {
        first: name.clone(),
        last: name,
    });

    entry
}

/// Makes the edit of the step. If it adds and removes, it is a merge.
fn edit(step: &Step, model: &Model) -> Edit {
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

    let add = step
        .add
        .iter()
        .map(|id| named_block(*id, model.content_of(step, *id)))
        .collect();

    let remove = step.remove.iter().map(|id| BlockId(Ulid(*id))).collect();

    let commit = Commit {
        fence: step.fence.then_some(Fence {}),
        flush: step.flushed.map(|step| Flush(flushed(step))),
        horizon: step.horizon.map(|id| Horizon(BlockId(Ulid(id)))),
        quarantine: (step.damaged.is_some() || step.released.is_some()).then(|| Quarantine {
            add: step
                .damaged
                .into_iter()
                .map(|id| (BlockId(Ulid(id)), "torn".to_owned()))
                .collect(),
            release: step
                .released
                .into_iter()
                .map(|id| BlockId(Ulid(id)))
                .collect(),
        }),
        ..Commit::replace(remove, add)
    };

    Edit::commit(identity, author, commit)
}

proptest! {
    #[test]
    fn a_state_is_what_its_edits_make_and_a_refused_edit_changes_nothing(steps in steps()) {
        let mut state = State::default();
        let mut model = Model::default();

        for step in &steps {
            let before = state.clone();
            let applied = state.apply(&edit(step, &model)).is_ok();

            prop_assert_eq!(applied, model.apply(step), "{:?}", step);

            if !applied {
                prop_assert_eq!(&state, &before);
            }

            prop_assert_eq!(state.sequence, model.sequence);
            prop_assert_eq!(state.blocks.iter().map(|(id, entry)| (id.0.0, entry.content)).collect::<BTreeMap<_, _>>(), model.live.clone());

            let flushed: BTreeMap<_, _> = state.flushed.iter().map(|(w, f)| (w.0.0, (f.flush, f.position))).collect();
            prop_assert_eq!(&flushed, &model.flushed);
            prop_assert_eq!(state.horizon.map(|id| id.0.0), model.horizon);
            prop_assert_eq!(state.quarantined.keys().map(|id| id.0.0).collect::<BTreeSet<_>>(), model.quarantined.clone());
        }
    }

    #[test]
    fn a_state_comes_back_from_its_snapshot_however_many_objects_it_is_in(steps in steps(), bytes_max in 1..3_000_usize) {
        let mut state = State::default();
        let mut model = Model::default();

        for step in &steps {
            let _ = state.apply(&edit(step, &model));
            model.apply(step);
        }

        let part = |part: usize| Path::from(format!("s-{part}"));
        let bodies = encode_snapshot(&state, bytes_max, Path::from("s"), part).unwrap();
        let (key, first) = bodies.first;
        let mut reader = SnapshotReader::open(&key, state.sequence, &first).unwrap();

        for (key, body) in &bodies.parts {
            prop_assert_eq!(reader.parts().next(), Some(key.as_ref()));
            reader.read_part(key, body).unwrap();
        }

        prop_assert_eq!(reader.parts().next(), None);
        prop_assert_eq!(reader.finish().unwrap(), state.clone());
        prop_assert!(SnapshotReader::open(&key, state.sequence + 1, &first).is_err());

        if let Some((last, body)) = bodies.parts.last() {
            let mut short = SnapshotReader::open(&key, state.sequence, &first).unwrap();
            prop_assert_eq!(short.read_part(last, body).is_ok(), bodies.parts.len() == 1);
            prop_assert!(SnapshotReader::open(&key, state.sequence, &first).unwrap().finish().is_err());
        }
    }
}
