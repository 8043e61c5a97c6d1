//! A model of blocks: entries with samples that only the test knows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duramen_bucket::{Author, WriterIdentity};
use duramen_compact::{Job, Policy, plan};
use duramen_manifest::{Commit, Edit, State};
use duramen_model::{
    BlockEntry, BlockFile, BlockId, BlockStats, Content, Incarnation, NameBounds, Order,
    OrderRange, TenantId, WriterId,
};
use ulid::Ulid;

pub(crate) const HOUR_MS: i64 = 3_600_000;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;
/// The present in tests: a day that began three and a half hours ago.
pub(crate) const NOW_MS: i64 = 20_000 * DAY_MS + 3 * HOUR_MS + HOUR_MS / 2;
/// A time at which all that the tests write is long over.
pub(crate) const LATER_MS: i64 = NOW_MS + 1_000 * DAY_MS;

/// A series and a time.
pub(crate) type At = (u8, i64);

/// A manifest with the samples of its blocks. A value is the number of the flush that sent it.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) state: State,
    samples: BTreeMap<BlockId, BTreeMap<At, u64>>,
    ids: u64,
}

impl World {
    /// Adds the blocks of a flush. Each group of samples is one output, cut into a sibling for
    /// each of its series if `is_cut`.
    pub(crate) fn flush(
        &mut self,
        opened_ms: i64,
        writer: u128,
        groups: &[(i64, Vec<At>)],
        is_cut: bool,
    ) {
        let flush = self.ids + 1;
        let order = Order {
            opened: u64::try_from(opened_ms).unwrap() << 16,
            writer: WriterId(Ulid(writer)),
            flush,
        };

        let mut add = Vec::new();
        for (start_ms, times) in groups {
            let content = Content::of_flush(TenantId(Ulid(1)), order, *start_ms);
            let samples = times.iter().map(|at| (*at, flush)).collect();
            add.extend(self.output((order, order), 0, content, opened_ms, samples, is_cut));
        }

        self.commit(Vec::new(), add);
    }

    /// Does a job: its inputs become one output, with the rule of merges.
    pub(crate) fn apply(&mut self, job: &Job, is_cut: bool) {
        let mut inputs = job.inputs.clone();
        inputs.sort_by_key(|entry| entry.order.min);

        let mut merged = BTreeMap::new();
        for entry in &inputs {
            for (at, value) in &self.samples[&entry.id] {
                merged.entry(*at).or_insert(*value);
            }
        }

        let order = (
            inputs.iter().map(|entry| entry.order.min).min().unwrap(),
            inputs.iter().map(|entry| entry.order.max).max().unwrap(),
        );
        let level = inputs.iter().map(|entry| entry.level).max().unwrap() + 1;
        let content = Content::of_merge(inputs.iter().map(|entry| entry.content));

        let add = self.output(order, level, content, NOW_MS, merged, is_cut);
        self.commit(job.ids().collect(), add);
    }

    fn commit(&mut self, remove: Vec<BlockId>, add: Vec<BlockEntry>) {
        let identity = WriterIdentity {
            writer: WriterId(Ulid(1)),
            epoch: 1,
            incarnation: Incarnation(Ulid(1)),
        };
        let author = Author {
            writer: identity.writer,
            attempt: Ulid(u128::from(self.state.sequence)),
        };

        let commit = Commit::replace(remove, add);
        let edit = Edit::commit(identity, author, commit);
        self.state.apply(&edit).unwrap();
    }

    fn output(
        &mut self,
        (min, max): (Order, Order),
        level: u8,
        content: Content,
        made_ms: i64,
        samples: BTreeMap<At, u64>,
        is_cut: bool,
    ) -> Vec<BlockEntry> {
        let mut parts: BTreeMap<u8, BTreeMap<At, u64>> = BTreeMap::new();
        for (at, value) in samples {
            let part = if is_cut { at.0 } else { 0 };
            parts.entry(part).or_default().insert(at, value);
        }

        let mut entries = Vec::new();
        for part in parts.into_values() {
            self.ids += 1;
            let made_ms = u64::try_from(made_ms).unwrap();
            let id = BlockId(Ulid::from_parts(made_ms, self.ids.into()));
            entries.push(BlockEntry {
                id,
                order: OrderRange { min, max },
                level,
                resolution_ms: None,
                retention: String::new(),
                home: None,
                content,
                rolled: Vec::new(),
                stats: stats(&part),
            });
            self.samples.insert(id, part);
        }

        entries
    }

    /// Returns the live blocks.
    pub(crate) fn blocks(&self) -> Vec<Arc<BlockEntry>> {
        self.state.blocks.values().cloned().collect()
    }

    pub(crate) fn plan(&self, policy: &Policy, now_ms: i64) -> Vec<Job> {
        plan(self.state.blocks.values(), &BTreeSet::new(), policy, now_ms)
    }

    /// Returns what a query over all live blocks finds: of several values for one time, that of
    /// the smallest order.
    ///
    /// # Panics
    /// If two of these have the same order: then nothing says which one counts.
    pub(crate) fn answer(&self) -> BTreeMap<At, u64> {
        let mut blocks = self.blocks();
        blocks.sort_by_key(|entry| entry.order.min);

        let mut found: BTreeMap<At, (Order, u64)> = BTreeMap::new();
        for entry in &blocks {
            for (at, value) in &self.samples[&entry.id] {
                let first = found.entry(*at).or_insert((entry.order.min, *value));
                let is_tie = first.0 == entry.order.min && first.1 != *value;
                assert!(!is_tie, "two values of one order at {at:?}");
            }
        }

        found
            .into_iter()
            .map(|(at, (_, value))| (at, value))
            .collect()
    }
}

fn stats(samples: &BTreeMap<At, u64>) -> BlockStats {
    let times = || samples.keys().map(|at| at.1);
    let names = || samples.keys().map(|at| format!("m{}", at.0));

    BlockStats {
        series: samples.keys().map(|at| at.0).collect::<BTreeSet<_>>().len() as u64,
        samples: samples.len() as u64,
        histograms: 0,
        exemplars: 0,
        families: 0,
        ttl_max_ms: 0,
        min_ts_ms: times().min().unwrap(),
        max_ts_ms: times().max().unwrap(),
        names: Some(NameBounds {
            first: names().min().unwrap(),
            last: names().max().unwrap(),
        }),
        files: vec![BlockFile {
            name: "samples.parquet".to_owned(),
            bytes: 100 * samples.len() as u64,
        }],
        meta_bytes: 1,
        meta_crc32c: 0,
    }
}
