//! A tenant in a bucket: flushes, workers, and what a query over its live blocks finds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use duramen_block::{BlockWriter, SeriesContents, WriterOptions};
use duramen_blocks::{Blocks, MemoryBlock, MergeOptions, Publisher, Staging};
use duramen_bucket::{Bucket, Tenants, WriterIdentity, keys};
use duramen_compact::{Compactor, Executor, Metrics, Policy, RoundSettings, RoundState, Rounds};
use duramen_limits::LimitsHandle;
use duramen_manifest::rollups::RawDays;
use duramen_manifest::{Commit, Flushed, Manifests, RolledDays, State};
use duramen_metrics::Counter;
use duramen_model::{
    BlockEntry, BlockId, Content, Incarnation, Labels, Order, RolledDay, TenantId, TenantName,
    TimeRange, WriterId,
};
use duramen_qos::Account;
use duramen_runtime::{Clock, Entropy, MockClock};
use duramen_source::rollup::hidden::of_days;
use duramen_source::rollup::row::{RollupRow, roll_floats};
use duramen_source::rollup::{RESOLUTIONS_MS, RowParts};
use duramen_source::{Columns, MergeSource, Part, Reads, SeriesRequest, SeriesSource};
use duramen_testkit::SimDisk;
use futures::TryStreamExt;
use ulid::Ulid;

use crate::entries::At;

pub(crate) const TENANT: TenantId = TenantId(Ulid(1));

/// What a query finds: a value for each series and time.
pub(crate) type Answer = BTreeMap<At, u64>;

/// A process that works on the tenant.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) bucket: Bucket,
    pub(crate) manifests: Manifests,
    pub(crate) compactor: Compactor,
    pub(crate) executor: Executor,
    pub(crate) clock: Arc<MockClock>,
    writer: WriterId,
    flushes: u64,
}

impl Process {
    /// A process named `number` at a time. `series_max` cuts outputs into siblings.
    pub(crate) fn new(
        bucket: &Bucket,
        number: u64,
        now_ms: i64,
        policy: Policy,
        series_max: usize,
    ) -> Self {
        let clock = MockClock::with(now_ms, Entropy::seeded(number));
        let writer = WriterId(Ulid(u128::from(number)));
        let identity = WriterIdentity {
            writer,
            epoch: 1,
            incarnation: Incarnation(Ulid(u128::from(number))),
        };

        let manifests = Manifests::new(
            bucket.clone(),
            Arc::clone(&clock) as Arc<dyn Clock>,
            identity,
        );
        let staging = Staging::open(Arc::new(SimDisk::new()), "/data/compact".into()).unwrap();

        let mut options = MergeOptions::default();
        options.limits.series_max = series_max;
        let executor = Executor::new(
            bucket.clone(),
            manifests.clone(),
            staging,
            Arc::clone(&clock) as Arc<dyn Clock>,
            options,
        );

        Self {
            bucket: bucket.clone(),
            manifests,
            compactor: Compactor::new(executor.clone(), policy),
            executor,
            clock,
            writer,
            flushes: 0,
        }
    }

    /// Flushes samples of a generation that was opened at a time: a block for each group.
    pub(crate) async fn flush(&mut self, opened_ms: i64, groups: &[(i64, Answer)]) {
        self.flushes += 1;
        let order = Order {
            opened: u64::try_from(opened_ms).unwrap() << 16,
            writer: self.writer,
            flush: self.flushes,
        };

        let publisher = Publisher::new(self.bucket.clone(), self.manifests.clone());
        let mut entries = Vec::new();

        for (start_ms, samples) in groups {
            let (stats, files) = written(samples).finish_in_memory().unwrap();
            let content = Content::of_flush(TENANT, order, *start_ms);
            let id = BlockId(self.clock.new_ulid());
            let entry = BlockEntry::of_flush(id, order, content, stats);

            let block = MemoryBlock { entry, files };
            entries.push(publisher.upload_from_memory(TENANT, block).await.unwrap());
        }

        let identity = self.manifests.identity();
        let flushed = Flushed {
            writer: self.writer,
            epoch: identity.epoch,
            incarnation: identity.incarnation,
            position: self.flushes,
            flush: self.flushes,
        };

        let commit = Commit::flush(entries, flushed);
        self.manifests.commit(TENANT, commit).await.unwrap();
    }

    /// The rounds of this process, with `merges` and a grace of an hour.
    pub(crate) async fn into_rounds(self, merges: bool, memory: Arc<Account>) -> Rounds {
        let register = Tenants::open(self.bucket.clone(), self.writer)
            .await
            .unwrap();
        let name = TenantName::parse("anonymous").unwrap();
        register.restore(&name, TENANT).await.unwrap();

        Rounds {
            compactor: self.compactor,
            register: Arc::new(register),
            limits: LimitsHandle::default(),
            settings: RoundSettings {
                merges,
                memory_bytes: 1 << 20,
                grace: Duration::from_hours(1),
                history: Duration::from_hours(1),
            },
            memory,
            metrics: Metrics::default(),
            state: RoundState::default(),
        }
    }

    pub(crate) async fn state(&self) -> Arc<State> {
        self.manifests.refresh(TENANT).await.unwrap()
    }
}

pub(crate) fn written(samples: &Answer) -> BlockWriter {
    let mut series: BTreeMap<u8, (Vec<i64>, Vec<f64>)> = BTreeMap::new();
    for ((name, ts_ms), value) in samples {
        let (times, values) = series.entry(*name).or_default();
        times.push(*ts_ms);
        values.push(f64::from_bits(*value));
    }

    let mut writer = BlockWriter::in_memory(WriterOptions::default());
    for (name, (times, values)) in series {
        let contents = SeriesContents::floats(&times, &values);
        writer.push(&labels(name), &contents).unwrap();
    }

    writer
}

fn labels(name: u8) -> Labels {
    Labels::from_pairs([("__name__", format!("m{name}").as_str())]).unwrap()
}

/// Returns what a query over the blocks of a state finds, as a process that has nothing in memory.
pub(crate) async fn query(bucket: &Bucket, state: &State) -> Answer {
    query_of(bucket, TENANT, state).await
}

/// Does the same for a state of another tenant.
pub(crate) async fn query_of(bucket: &Bucket, tenant: TenantId, state: &State) -> Answer {
    let blocks = Blocks::new(bucket.clone(), 1 << 20, 1000, Account::unbounded());
    let mut parts = Vec::new();

    let raw = state.blocks.values();
    for entry in raw.filter(|entry| entry.resolution_ms.is_none()) {
        let source = blocks
            .source(tenant, entry, &Reads::default())
            .await
            .unwrap();
        parts.push(Part {
            order: entry.order.min,
            source: Arc::new(source),
            holds_samples: true,
        });
    }

    let merged = MergeSource::new(parts, Counter::default());
    let batches: Vec<_> = merged
        .select(&everything())
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let mut found = Answer::new();

    for batch in &batches {
        for row in 0..batch.len() {
            let names = 0..u8::MAX;
            let name = names
                .into_iter()
                .find(|name| labels(*name).encoded() == batch.labels_at(row));
            let (times, values) = batch.samples_at(row);

            for (ts_ms, value) in times.iter().zip(values) {
                found.insert((name.unwrap(), *ts_ms), value.to_bits());
            }
        }
    }

    found
}

/// Asserts that rollups which stand for a day have what its samples come to. `samples` are those of
/// the state.
pub(crate) async fn check_rollups(bucket: &Bucket, state: &State, samples: &Answer) {
    let blocks = Blocks::new(bucket.clone(), 1 << 20, 1000, Account::unbounded());
    let raw = RawDays::of(state.blocks.values());

    for resolution_ms in RESOLUTIONS_MS {
        let rolled = RolledDays::of(state.blocks.values(), &raw, resolution_ms, |_| true);

        for (day_ms, of_day) in rolled.days {
            let mut found = Vec::new();

            for entry in of_day {
                let reads = Reads::default();
                let source = blocks.source(TENANT, &entry, &reads).await.unwrap();
                let rows = source.rollup_stream(&everything(), RowParts::ALL);
                let rows = of_days(rows, BTreeSet::from([day_ms]));
                let batches: Vec<_> = rows.try_collect().await.unwrap();

                for batch in &batches {
                    let series = batch.series().map(|(labels, rows)| (labels, rows.to_vec()));
                    found.extend(series);
                }
            }

            assert_eq!(found, rolled_up(samples, day_ms, resolution_ms), "{day_ms}");
        }
    }
}

/// What the samples of a day come to.
fn rolled_up(samples: &Answer, day_ms: i64, resolution_ms: i64) -> Vec<(Labels, Vec<RollupRow>)> {
    let mut series: BTreeMap<u8, (Vec<i64>, Vec<f64>)> = BTreeMap::new();
    let end_ms = day_ms + RolledDay::LENGTH_MS;

    for ((name, ts_ms), value) in samples {
        if (day_ms..end_ms).contains(ts_ms) {
            let (times, values) = series.entry(*name).or_default();
            times.push(*ts_ms);
            values.push(f64::from_bits(*value));
        }
    }

    let rolled = series.into_iter().map(|(name, (times, values))| {
        let mut rows = Vec::new();
        roll_floats(&times, &values, resolution_ms, &mut rows);
        (labels(name), rows)
    });

    let mut rolled: Vec<_> = rolled.collect();
    rolled.sort_by(|(a, _), (b, _)| a.cmp_in_block(b));
    rolled
}

fn everything() -> SeriesRequest {
    SeriesRequest {
        matchers: Arc::new([]),
        range: TimeRange::ALL,
        columns: Columns::Everything,
        batch_series_max: SeriesRequest::BATCH_SERIES,
        reads: Arc::default(),
    }
}

/// Asserts that the objects of all live blocks are in the bucket. Returns how many blocks lie there
/// that no state names.
pub(crate) async fn orphans(bucket: &Bucket, state: &State) -> usize {
    let objects = bucket.list(&keys::blocks(TENANT), None).await.unwrap();
    let mut folders: Vec<String> = Vec::new();

    for object in &objects {
        let folder = object.location.as_ref().rsplit_once('/').unwrap().0;
        if folders.last().is_none_or(|last| last != folder) {
            folders.push(folder.to_owned());
        }
    }

    for entry in state.blocks.values() {
        let live = keys::block(TENANT, entry).to_string();
        let at = folders.iter().position(|folder| *folder == live);
        folders.remove(at.expect("the objects of a live block"));
    }

    folders.len()
}
