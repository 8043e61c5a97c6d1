//! Deletions mask what was acknowledged before them and nothing else, whatever is flushed, merged,
//! replayed and ended in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_bucket::Author;
use duramen_manifest::object::{SnapshotReader, encode_snapshot};
use duramen_manifest::{
    AskedDeletion, Commit, DELETIONS_MAX, Edit, Flushed, Gone, State, Tombstone, Tombstones,
    Violation,
};
use duramen_model::{BlockEntry, BlockId, Content, Deletion, Matcher, Order, TimeRange, WriterId};
use object_store::path::Path;
use proptest::prelude::*;
use ulid::Ulid;

use crate::values::{block, content, identity};

const WRITER: u128 = 7;

#[derive(Clone, Debug)]
enum Step {
    Write(i64),
    /// Ends the open generation.
    Freeze,
    /// Commits the oldest frozen generation.
    Flush,
    Delete(i64, i64),
    /// Reads the deletions that a later merge applies.
    Plan,
    Merge,
    /// Replays the log in a new process.
    Restart,
    /// Ends all deletions that can end.
    End,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..20_i64).prop_map(Step::Write),
        2 => Just(Step::Freeze),
        3 => Just(Step::Flush),
        2 => (0..20_i64, 0..20_i64).prop_map(|(one, other)| Step::Delete(one.min(other), one.max(other))),
        3 => Just(Step::Plan),
        2 => Just(Step::Merge),
        1 => Just(Step::Restart),
        1 => Just(Step::End),
    ];

    prop::collection::vec(step, 0..80)
}

/// The times and the numbers of samples.
type Samples = BTreeMap<u64, i64>;

#[derive(Debug, Default)]
struct World {
    state: State,
    /// The samples that no deletion has taken.
    visible: BTreeMap<u64, i64>,
    /// The position of the next record. A sample has the position of its record.
    next: u64,
    /// Frozen generations: their ends and samples.
    frozen: Vec<(u64, Samples)>,
    open: Samples,
    flushes: u64,
    /// What is in the live blocks.
    blocks: BTreeMap<BlockId, Samples>,
    /// The deletions that the next merge applies.
    planned: State,
    ids: u128,
}

impl World {
    fn apply(&mut self, commit: Commit) -> Result<(), Violation> {
        let identity = identity(WRITER, 1);
        let author = Author {
            writer: identity.writer,
            attempt: Ulid(0),
        };

        self.state.apply(&Edit::commit(identity, author, commit))
    }

    fn id(&mut self) -> u128 {
        self.ids += 1;
        self.ids
    }

    fn freeze(&mut self) {
        if !self.open.is_empty() {
            let samples = std::mem::take(&mut self.open);
            self.frozen.push((self.next, samples));
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Write(ts_ms) => {
                self.open.insert(self.next, ts_ms);
                self.visible.insert(self.next, ts_ms);
                self.next += 1;
            }
            Step::Freeze => self.freeze(),
            Step::Flush if self.frozen.is_empty() => {}
            Step::Flush => {
                let (end, samples) = self.frozen.remove(0);
                self.flush(end, samples);
            }
            Step::Delete(from_ms, to_ms) => self.delete(from_ms, to_ms),
            Step::Plan => self.planned = self.state.clone(),
            Step::Merge => self.merge(),
            Step::Restart => self.restart(),
            Step::End => self.end(),
        }
    }

    fn flush(&mut self, end: u64, samples: Samples) {
        self.flushes += 1;
        let identity = identity(WRITER, 1);
        let flushed = Flushed {
            writer: identity.writer,
            epoch: identity.epoch,
            incarnation: identity.incarnation,
            position: end,
            flush: self.flushes,
        };

        let id = self.id();
        let entry = entry(id, &samples, content(id));
        self.blocks.insert(entry.id, samples);
        self.apply(Commit::flush(vec![entry], flushed)).unwrap();
    }

    fn delete(&mut self, from_ms: i64, to_ms: i64) {
        self.freeze();
        let id = self.id();
        let asked = asked(id, TimeRange::closed(from_ms, to_ms).unwrap(), self.next);
        self.apply(Commit::delete(asked)).unwrap();
        self.visible
            .retain(|_, ts_ms| *ts_ms < from_ms || *ts_ms > to_ms);
    }

    /// Merges the two oldest blocks, as a worker that looked at the manifest at the last plan.
    fn merge(&mut self) {
        let inputs: Vec<BlockId> = self.planned.blocks.keys().copied().take(2).collect();
        let is_live = |id: &BlockId| self.state.blocks.contains_key(id);
        if inputs.is_empty() || !inputs.iter().all(is_live) {
            return;
        }

        let mut samples = Samples::new();
        for id in &inputs {
            let entry = &self.planned.blocks[id];
            let masks: Vec<_> = self.planned.deletions.touching(entry).collect();
            let left = self.blocks[id]
                .iter()
                .filter(|(_, ts_ms)| !masked(&masks, **ts_ms));
            samples.extend(left.map(|(at, ts_ms)| (*at, *ts_ms)));
        }

        let contents = inputs.iter().map(|id| self.state.blocks[id].content);
        let content = Content::of_merge(contents);
        let id = self.id();
        let add = match samples.is_empty() {
            true => Vec::new(),
            false => vec![entry(id, &samples, content)],
        };

        // A merge that leaves nothing is right whatever was deleted since.
        let missed = inputs.iter().any(|id| {
            let mut touching = self.state.deletions.touching(&self.state.blocks[id]);
            touching.any(|tombstone| tombstone.number > self.planned.sequence)
        });

        let commit = Commit::replace(inputs.clone(), add.clone()).applying(self.planned.sequence);
        let merged = self.apply(commit);
        assert_eq!(merged.is_err(), missed && !add.is_empty(), "{merged:?}");

        if merged.is_ok() {
            for id in &inputs {
                self.blocks.remove(id);
            }

            if let [entry] = &add[..] {
                self.blocks.insert(entry.id, samples);
            }
        }
    }

    fn restart(&mut self) {
        self.freeze();
        let mut unflushed: Samples = Samples::new();
        for (_, samples) in self.frozen.drain(..) {
            unflushed.extend(samples);
        }

        let in_force = self.state.deletions.in_force.values();
        let until = in_force.filter_map(|one| one.positions.get(&WriterId(Ulid(WRITER))).copied());

        for end in until.collect::<std::collections::BTreeSet<_>>() {
            let later = unflushed.split_off(&end);
            let samples = std::mem::replace(&mut unflushed, later);
            if !samples.is_empty() {
                self.frozen.push((end, samples));
            }
        }

        self.open = unflushed;
    }

    fn end(&mut self) {
        let deletions = &self.state.deletions;
        let blocks: Vec<_> = deletions.remains.keys().copied().collect();
        let is_over = |one: &&Arc<Tombstone>| {
            self.state.waits_for(one).next().is_none()
                && self.state.holds_deleted(one).next().is_none()
        };

        let over = deletions.in_force.values().filter(is_over);
        let gone = Gone {
            at_ms: 1,
            blocks,
            deletions: over.map(|one| one.number).collect(),
        };

        let all = deletions.in_force.keys().copied().collect();
        let too_many = Gone {
            deletions: all,
            ..gone.clone()
        };
        let is_all = too_many.deletions == gone.deletions;
        let commit = |gone| {
            Commit::tombstones(Tombstones {
                gone: Some(gone),
                ..Tombstones::default()
            })
        };

        assert_eq!(self.apply(commit(too_many)).is_ok(), is_all);
        if !is_all {
            self.apply(commit(gone)).unwrap();
        }

        assert!(self.state.deletions.remains.is_empty());
    }

    /// Compares what is masked with what was deleted.
    fn check(&self) {
        let is_visible = |at: &u64| self.visible.contains_key(at);
        let mut found = Samples::new();

        for (id, samples) in &self.blocks {
            let masks: Vec<_> = self
                .state
                .deletions
                .touching(&self.state.blocks[id])
                .collect();
            for (at, ts_ms) in samples {
                assert_eq!(masked(&masks, *ts_ms), !is_visible(at), "block {id}, {at}");
            }

            found.extend(samples);
        }

        let open = (u64::MAX, &self.open);
        let frozen = self.frozen.iter().map(|(end, samples)| (*end, samples));
        for (end, samples) in frozen.chain([open]) {
            let in_force = self.state.deletions.in_force.values();
            let masks: Vec<_> = in_force
                .filter(|one| one.masks_log(WriterId(Ulid(WRITER)), end))
                .collect();

            for (at, ts_ms) in samples {
                assert_eq!(masked(&masks, *ts_ms), !is_visible(at), "head, {at}");
            }

            found.extend(samples);
        }

        assert!(self.visible.keys().all(|at| found.contains_key(at)), "lost");
    }
}

fn masked(tombstones: &[&Arc<Tombstone>], ts_ms: i64) -> bool {
    let mut tombstones = tombstones.iter();
    tombstones.any(|tombstone| tombstone.asked.deletion.range.contains(ts_ms))
}

fn entry(id: u128, samples: &Samples, content: Content) -> BlockEntry {
    let mut entry = BlockEntry {
        content,
        ..block(id)
    };

    entry.stats.min_ts_ms = samples.values().copied().min().unwrap();
    entry.stats.max_ts_ms = samples.values().copied().max().unwrap();
    entry.order.min = Order {
        opened: u64::try_from(id).unwrap(),
        ..entry.order.min
    };
    entry.order.max = entry.order.min;
    entry
}

fn asked(id: u128, range: TimeRange, position: u64) -> AskedDeletion {
    AskedDeletion {
        id: Ulid(id),
        deletion: Arc::new(Deletion {
            selectors: vec![vec![Matcher::equal("job", "a")]],
            range,
            value: None,
        }),
        author: String::new(),
        at_ms: 0,
        positions: BTreeMap::from([(WriterId(Ulid(WRITER)), position)]),
    }
}

proptest! {
    #[test]
    fn a_deletion_masks_what_was_before_it_and_nothing_else(steps in steps()) {
        let mut world = World::default();

        for step in &steps {
            world.step(step);
            world.check();
        }

        // The state comes back from its snapshot.
        let part = |part: usize| Path::from(format!("s-{part}"));
        let bodies = encode_snapshot(&world.state, 1 << 20, Path::from("s"), part).unwrap();
        let (key, first) = bodies.first;
        let reader = SnapshotReader::open(&key, world.state.sequence, &first).unwrap();
        prop_assert_eq!(reader.finish().unwrap(), world.state);
    }
}

#[test]
fn a_tenant_has_a_thousand_deletions_at_most() {
    let mut world = World::default();
    let max = u128::try_from(DELETIONS_MAX).unwrap();

    for id in 1..=max {
        world
            .apply(Commit::delete(asked(id, TimeRange::ALL, 0)))
            .unwrap();
    }

    let refused = world.apply(Commit::delete(asked(max + 1, TimeRange::ALL, 0)));
    let refused = refused.unwrap_err();
    assert_eq!(refused, Violation::TooManyDeletions);
    assert!(refused.to_string().contains("deletions_max"), "{refused}");

    world.end();
    world
        .apply(Commit::delete(asked(max + 1, TimeRange::ALL, 0)))
        .unwrap();

    let twice = world.apply(Commit::delete(asked(max + 1, TimeRange::ALL, 0)));
    assert!(matches!(twice, Err(Violation::DeletionTwice { .. })));
}

#[test]
fn a_deletion_that_is_too_large_is_refused() {
    let with = |selectors: Vec<Vec<Matcher>>| {
        let mut asked = asked(1, TimeRange::ALL, 0);
        asked.deletion = Arc::new(Deletion {
            selectors,
            ..Deletion::clone(&asked.deletion)
        });

        World::default().apply(Commit::delete(asked))
    };

    let matcher = |value: &str| vec![Matcher::equal("a", value)];
    assert_eq!(with(Vec::new()), Err(Violation::DeletionSelectors));
    assert_eq!(
        with(vec![matcher("b"); 101]),
        Err(Violation::DeletionSelectors)
    );
    assert_eq!(
        with(vec![matcher(&"b".repeat(4096))]),
        Err(Violation::DeletionTooLong)
    );
    assert_eq!(with(vec![matcher("b"); 50]), Ok(()));
}
