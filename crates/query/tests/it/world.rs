//! A tenant in a bucket with a compactor, and queries over it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use duramen_block::{BlockWriter, SeriesContents, WriterOptions};
use duramen_blocks::{Blocks, MemoryBlock, MergeOptions, Publisher, Staging};
use duramen_bucket::{Bucket, WriterIdentity};
use duramen_compact::{Compactor, Executor, Policy, Summary};
use duramen_manifest::{AskedDeletion, Commit, Flushed, Manifests, State};
use duramen_model::{
    AsOf, BlockEntry, BlockId, Content, Deletion, Incarnation, Labels, Order, TenantId, WriterId,
};
use duramen_promql::{
    Engine, EngineConfig, Error as QueryError, QueryContext, QueryLimits, QueryTimes, RollupChoice,
    RollupPolicy, Value,
};
use duramen_qos::Account;
use duramen_query::Storage;
use duramen_runtime::{Clock, Entropy, MockClock, SystemClock};
use duramen_source::rollup::RESOLUTIONS_MS;
use duramen_source::{Error, HeadSnapshot, Heads, SeriesSource, Views};
use duramen_testkit::SimDisk;
use ulid::Ulid;

pub(crate) const TENANT: TenantId = TenantId(Ulid(1));
pub(crate) const MINUTE_MS: i64 = 60_000;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// No process holds samples in memory.
#[derive(Debug)]
pub(crate) struct NoHeads;

#[async_trait]
impl Heads for NoHeads {
    async fn snapshots(&self, _: TenantId) -> Result<Vec<HeadSnapshot>, Error> {
        Ok(Vec::new())
    }
}

pub(crate) type Samples = BTreeMap<String, (Vec<i64>, Vec<f64>)>;

/// A tenant in a bucket.
pub(crate) struct World {
    pub(crate) bucket: Bucket,
    pub(crate) manifests: Manifests,
    pub(crate) compactor: Compactor,
    pub(crate) clock: Arc<MockClock>,
    executor: Executor,
    policy: Policy,
    flushes: u64,
}

impl World {
    pub(crate) fn new(now_ms: i64) -> Self {
        let clock = MockClock::with(now_ms, Entropy::seeded(3));
        let bucket = Bucket::memory(Arc::clone(&clock) as Arc<dyn Clock>);
        Self::over(bucket, clock, 3)
    }

    /// A tenant without data in a bucket. Outputs of merges are cut after `series_max` series.
    pub(crate) fn over(bucket: Bucket, clock: Arc<MockClock>, series_max: usize) -> Self {
        let identity = WriterIdentity {
            writer: WriterId(Ulid(5)),
            epoch: 1,
            incarnation: Incarnation(Ulid(5)),
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
        let policy = Policy {
            rollups_ms: RESOLUTIONS_MS.to_vec(),
            ..Policy::default()
        };

        Self {
            compactor: Compactor::new(executor.clone(), policy.clone()),
            executor,
            policy,
            bucket,
            manifests,
            clock,
            flushes: 0,
        }
    }

    /// Flushes a block of samples.
    pub(crate) async fn flush(&mut self, samples: &Samples) {
        self.flushes += 1;
        let identity = self.manifests.identity();
        let order = Order {
            opened: self.flushes << 16,
            writer: identity.writer,
            flush: self.flushes,
        };

        let mut writer = BlockWriter::in_memory(WriterOptions::default());
        for (name, (ts, values)) in samples {
            let labels = labels(name);
            let contents = SeriesContents::floats(ts, values);
            writer.push(&labels, &contents).unwrap();
        }

        let (stats, files) = writer.finish_in_memory().unwrap();
        let content = Content::of_flush(TENANT, order, stats.min_ts_ms);
        let id = BlockId(self.clock.new_ulid());
        let entry = BlockEntry::of_flush(id, order, content, stats);
        let publisher = Publisher::new(self.bucket.clone(), self.manifests.clone());
        let block = MemoryBlock { entry, files };
        let entry = publisher.upload_from_memory(TENANT, block).await.unwrap();

        let flushed = Flushed {
            writer: identity.writer,
            epoch: identity.epoch,
            incarnation: identity.incarnation,
            position: self.flushes,
            flush: self.flushes,
        };
        let commit = Commit::flush(vec![entry], flushed);
        self.manifests.commit(TENANT, commit).await.unwrap();
    }

    pub(crate) async fn compact(&self) -> Summary {
        let drained = self.compactor.drain(TENANT, |_| true, |_| {}).await;
        let summary = drained.unwrap();
        assert_eq!(summary.failed, []);
        summary
    }

    pub(crate) async fn state(&self) -> Arc<State> {
        self.manifests.refresh(TENANT).await.unwrap()
    }

    /// Another compactor of the same process.
    pub(crate) fn compactor(&self) -> Compactor {
        Compactor::new(self.executor.clone(), self.policy.clone())
    }

    /// How many rollups there are of each resolution.
    pub(crate) async fn rollups(&self) -> BTreeMap<i64, usize> {
        let mut counts = BTreeMap::new();
        for entry in self.state().await.blocks.values() {
            if let Some(resolution_ms) = entry.resolution_ms {
                *counts.entry(resolution_ms).or_default() += 1;
            }
        }
        counts
    }

    pub(crate) async fn view(&self) -> Arc<dyn SeriesSource> {
        self.view_of(TENANT, None).await
    }

    /// What a tenant has, or had.
    pub(crate) async fn view_of(
        &self,
        tenant: TenantId,
        as_of: Option<&AsOf>,
    ) -> Arc<dyn SeriesSource> {
        let blocks = Blocks::new(self.bucket.clone(), 1 << 20, 1000, Account::unbounded());
        let storage = Storage::new(
            Arc::new(NoHeads),
            self.manifests.clone(),
            Arc::new(blocks),
            duramen_query::Metrics::default(),
        );
        storage.view(&[tenant], as_of, None).await.unwrap()
    }

    pub(crate) async fn delete(&self, deletion: Deletion) {
        let asked = AskedDeletion {
            id: self.clock.new_ulid(),
            at_ms: self.clock.now_ms(),
            author: String::new(),
            deletion: Arc::new(deletion),
            positions: BTreeMap::new(),
        };
        self.manifests
            .commit(TENANT, Commit::delete(asked))
            .await
            .unwrap();
    }
}

pub(crate) fn labels(name: &str) -> Labels {
    let (metric, instance) = name.split_once('/').unwrap();
    Labels::from_pairs([("__name__", metric), ("instance", instance)]).unwrap()
}

pub(crate) fn engine() -> Engine {
    let config = EngineConfig {
        partitions: 2,
        ..EngineConfig::default()
    };
    Engine::new(config, Arc::new(SystemClock::default()))
}

pub(crate) const SAMPLES_ALONE: RollupChoice = RollupChoice {
    policy: RollupPolicy::Exact,
    resolution_max_ms: Some(0),
};

pub(crate) fn context(source: &Arc<dyn SeriesSource>, rollups: RollupChoice) -> QueryContext {
    QueryContext {
        source: Arc::clone(source),
        lookback_ms: None,
        first_reads: false,
        limits: QueryLimits::default(),
        rollups,
    }
}

/// The values of an answer, by series and time; and its infos.
pub(crate) type Answer = (BTreeMap<(String, i64), f64>, Vec<String>);

pub(crate) async fn ask(
    source: &Arc<dyn SeriesSource>,
    rollups: RollupChoice,
    text: &str,
    times: QueryTimes,
) -> Result<Answer, QueryError> {
    let expr = duramen_syntax::parse(text).unwrap();
    let prepared = engine()
        .prepare(&context(source, rollups), &expr, times)
        .await?;
    let answer = prepared.evaluate().await?;

    let mut values = BTreeMap::new();
    let series = match answer.value {
        Value::Matrix(series) => series,
        other => unreachable!("a range query gives a matrix: {other:?}"),
    };
    for series in series {
        for (ts_ms, value) in series.points {
            values.insert((series.labels.to_string(), ts_ms), value);
        }
    }

    Ok((values, answer.infos))
}

pub(crate) fn assert_near(rolled: &Answer, raw: &Answer, text: &str) {
    let lacks = |answer: &Answer, other: &Answer| {
        let mut keys = other.0.keys();
        keys.find(|key| !answer.0.contains_key(key)).cloned()
    };
    assert_eq!(lacks(rolled, raw), None, "{text} lacks");
    assert_eq!(lacks(raw, rolled), None, "{text} has too many");

    for (key, value) in &rolled.0 {
        let expected = raw.0[key];
        let is_near = value == &expected
            || value.is_nan() && expected.is_nan()
            || (value - expected).abs() <= 1e-12 * expected.abs().max(1e6);
        assert!(is_near, "{text}, {key:?}: {value} in place of {expected}");
    }
}
