//! The life of a tenant in compressed time: flushes, merges, rollups, retention, late samples,
//! deletions, a named snapshot and a clone. Queries answer as a source in memory does, at each age.
//!
//! `DURAMEN_YEAR_DAYS` says how long it lives, and `DURAMEN_YEAR_SERIES` how many series it has.
//! `bench/year` prints a year.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::{Bucket, Config, Tenants, keys};
use duramen_compact::{
    Collector, CollectorSettings, Cycles, Metrics, RoundSettings, RoundState, Rounds, Worker,
};
use duramen_limits::LimitsHandle;
use duramen_manifest::{Commit, clones};
use duramen_model::{
    AsOf, Deletion, Matcher, Sample, TenantId, TenantName, TimeRange, ValueOp, ValueTest, WriterId,
};
use duramen_promql::{QueryTimes, RollupChoice};
use duramen_qos::Account;
use duramen_runtime::{Clock, MockClock};
use duramen_source::{MemorySource, RetainedSource, Retention, SeriesSource};
use duramen_testkit::store::{SimClient, SimStore};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use ulid::Ulid;

use crate::world::{
    DAY_MS, HOUR_MS, MINUTE_MS, SAMPLES_ALONE, Samples, TENANT, World, ask, assert_near, labels,
};

/// The tenant begins so long after 1970.
const BEGINS_MS: i64 = 1_000 * DAY_MS;
/// A flush has the samples of so much time.
const FLUSH_MS: i64 = 2 * HOUR_MS;
/// How long samples and rollups of 5 minutes are kept. Those of an hour stay.
const SAMPLES_DAYS: i64 = 90;
const ROLLUPS_DAYS: i64 = 180;
/// So often the answers are checked, and a line of the table is printed.
const CHECK_DAYS: i64 = 30;

/// When something happens.
const LATE_DAY: i64 = 12;
const DELETION_DAY: i64 = 20;
const SNAPSHOT_DAY: i64 = 25;
const VALUES_DAY: i64 = 28;
const CLONE_DAY: i64 = 31;

/// All samples that the tenant should have, by series.
type Kept = BTreeMap<String, BTreeMap<i64, f64>>;

struct Life {
    world: World,
    client: SimClient,
    rounds: Rounds,
    cycles: Cycles,
    random: StdRng,
    /// The last value of each series.
    values: Vec<f64>,
    kept: Kept,
    samples: u64,
    written_bytes: u64,
}

impl Life {
    async fn begin() -> Self {
        let clock = MockClock::at(BEGINS_MS);
        let store = SimStore::new(Arc::clone(&clock));
        let client = store.client();
        let as_clock: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let bucket = Bucket::over(
            Arc::new(client.clone()),
            "sim:".to_owned(),
            &Config::default(),
            as_clock,
        );

        let register = Tenants::open(bucket.clone(), WriterId(Ulid(5))).await;
        let register = Arc::new(register.unwrap());
        let name = TenantName::parse("anonymous").unwrap();
        register.restore(&name, TENANT).await.unwrap();

        let world = World::over(bucket.clone(), Arc::clone(&clock), 10_000);
        let state = RoundState::default();
        let grace = Duration::from_hours(1);
        let settings = CollectorSettings {
            age: Duration::from_hours(24),
            grace,
            slots: CollectorSettings::SLOTS,
        };
        let collector = Collector::new(
            bucket.clone(),
            world.manifests.clone(),
            Worker::new(bucket, &*clock),
            settings,
            state.replaced().clone(),
            state.named().clone(),
        );

        let rounds = Rounds {
            compactor: world.compactor(),
            register: Arc::clone(&register),
            limits: LimitsHandle::default(),
            settings: RoundSettings {
                merges: true,
                memory_bytes: 1 << 20,
                grace,
                history: grace,
            },
            memory: Account::unbounded(),
            metrics: Metrics::default(),
            state,
        };

        Self {
            cycles: Cycles::new(collector, register, Metrics::default()),
            world,
            client,
            rounds,
            random: StdRng::seed_from_u64(7),
            values: vec![0.0; from_env("DURAMEN_YEAR_SERIES", 8)],
            kept: Kept::new(),
            samples: 0,
            written_bytes: 0,
        }
    }

    fn now_ms(&self) -> i64 {
        self.world.clock.now_ms()
    }

    /// Two hours of samples each minute: counters with resets, and gauges.
    fn generated(&mut self) -> Samples {
        let start_ms = self.now_ms();
        let mut all = Samples::new();

        for (number, value) in self.values.iter_mut().enumerate() {
            let name = match number % 2 {
                0 => format!("requests_total/{number}"),
                _ => format!("load/{number}"),
            };
            let (ts, values) = all.entry(name).or_default();

            for at in 0..FLUSH_MS / MINUTE_MS {
                *value = match (number % 2, self.random.random_range(0..5_000)) {
                    (0, 0) => 0.0,
                    (0, _) => *value + f64::from(self.random.random_range(0..50)),
                    _ => f64::from(self.random.random_range(0..10_000)) / 100.0,
                };
                ts.push(start_ms + at * MINUTE_MS + i64::try_from(number).unwrap());
                values.push(*value);
            }
        }

        all
    }

    async fn flush(&mut self, samples: &Samples) {
        for (name, (ts, values)) in samples {
            let series = self.kept.entry(name.clone()).or_default();
            series.extend(ts.iter().copied().zip(values.iter().copied()));
            self.samples += ts.len() as u64;
        }

        self.world.flush(samples).await;
        let state = self.world.state().await;
        let newest = state.blocks.values().max_by_key(|entry| entry.order.max);
        self.written_bytes += newest.unwrap().stats.bytes();
    }

    /// Lets two hours pass, with all that a process does in them.
    async fn pass(&mut self) {
        let samples = self.generated();
        self.world
            .clock
            .advance(Duration::from_millis(FLUSH_MS.cast_unsigned()));
        self.flush(&samples).await;

        let summary = self.world.compact().await;
        self.written_bytes += summary.bytes_out;
        self.rounds.round().await;
    }

    fn retention(&self) -> Retention {
        let since = |days: i64| self.now_ms() - days * DAY_MS;
        let rollups = vec![(300_000, since(ROLLUPS_DAYS)), (3_600_000, i64::MIN)];
        Retention::new(Vec::new(), since(SAMPLES_DAYS)).with_rollups(rollups)
    }

    /// What happens once a day.
    async fn night(&mut self) {
        let retention = self.retention();
        let expired = self.world.compactor.expire(TENANT, &retention).await;
        expired.unwrap();
        self.cycles.cycle().await;
    }

    async fn delete(&mut self, instance: &str, range: TimeRange, value: Option<ValueTest>) {
        self.world
            .delete(Deletion {
                selectors: vec![vec![Matcher::equal("instance", instance)]],
                range,
                value,
            })
            .await;

        let is_meant =
            |ts_ms: i64, of: f64| range.contains(ts_ms) && value.is_none_or(|test| test.passes(of));
        for (name, samples) in &mut self.kept {
            if name.ends_with(&format!("/{instance}")) {
                samples.retain(|ts_ms, value| !is_meant(*ts_ms, *value));
            }
        }
    }

    /// Compares the answers over a tenant with those over `kept`.
    async fn check(&self, tenant: TenantId, as_of: Option<&AsOf>, kept: &Kept, until_ms: i64) {
        let expected = in_memory(kept);
        let view = self.world.view_of(tenant, as_of).await;
        let stored: Arc<dyn SeriesSource> =
            Arc::new(RetainedSource::new(view, Arc::new(self.retention())));

        let oldest_ms = BEGINS_MS + DAY_MS;
        let samples_ms = self.now_ms() - (SAMPLES_DAYS - 2) * DAY_MS;
        let rollups_ms = self.now_ms() - (ROLLUPS_DAYS - 2) * DAY_MS;

        // Samples; rollups of both resolutions behind them; and rollups of an hour alone.
        let ages = [
            (samples_ms, until_ms, 6 * HOUR_MS + 7 * MINUTE_MS),
            (rollups_ms, samples_ms - 4 * DAY_MS, 11 * HOUR_MS),
            (oldest_ms, rollups_ms - 4 * DAY_MS, 23 * HOUR_MS),
        ];

        for (from_ms, until_ms, step_ms) in ages {
            // A multiple of all resolutions.
            let from_ms = from_ms.max(oldest_ms) / DAY_MS * DAY_MS;
            if from_ms >= until_ms {
                continue;
            }

            let times = QueryTimes::range(from_ms, until_ms, step_ms).unwrap();
            for text in TEXTS {
                let expected = ask(&expected, SAMPLES_ALONE, text, times).await.unwrap();
                let found = ask(&stored, RollupChoice::default(), text, times).await;
                assert_near(&found.unwrap(), &expected, text);
            }
        }
    }

    /// Prints a line of the table, and returns how many bytes a sample takes.
    async fn show(&self, day: i64) -> f64 {
        let state = self.world.state().await;
        let bytes = |resolution_ms: Option<i64>| -> u64 {
            let blocks = state.blocks.values();
            let of = blocks.filter(|entry| entry.resolution_ms == resolution_ms);
            of.map(|entry| entry.stats.bytes()).sum()
        };

        let all = self.world.bucket.list(&keys::tenant(TENANT), None).await;
        let all: u64 = all.unwrap().iter().map(|object| object.size).sum();
        let counts = self.client.counts();
        let days = day as f64;
        let puts = (counts.puts + counts.lists) as f64 / days;
        let gets = counts.gets as f64 / days;
        // What S3 takes for a month of such days.
        let dollars = (puts * 5e-6 + gets * 4e-7) * 30.0;

        println!(
            "| {day} | {} | {} | {} | {} | {} | {all} | {:.2} | {puts:.0} | {gets:.0} | {dollars:.2} |",
            self.samples,
            state.blocks.len(),
            bytes(None),
            bytes(Some(300_000)),
            bytes(Some(3_600_000)),
            self.written_bytes as f64 / self.samples as f64,
        );

        all as f64 / self.samples as f64
    }
}

/// Ranges that rollups of an hour divide, so that each age answers.
const TEXTS: [&str; 12] = [
    "requests_total",
    "load",
    "sum(rate(requests_total[1h]))",
    "increase(requests_total[3h])",
    "resets(requests_total[6h])",
    "delta(load[2h])",
    "sum by (instance) (sum_over_time(load[1h]))",
    "avg_over_time(load[6h])",
    "min_over_time(load[1h])",
    "max_over_time(load[1h])",
    "count_over_time(load[3h])",
    "max_over_time(load[1h]) - load",
];

fn in_memory(kept: &Kept) -> Arc<dyn SeriesSource> {
    let mut source = MemorySource::default();

    for (name, samples) in kept {
        let samples = samples.iter();
        let samples = samples.map(|(ts_ms, value)| Sample {
            ts_ms: *ts_ms,
            value: *value,
        });
        source.push(labels(name), samples);
    }

    Arc::new(source)
}

fn from_env<T: FromStr<Err: Debug>>(name: &str, default: T) -> T {
    let asked = std::env::var(name).ok();
    asked.map_or(default, |asked| asked.parse().unwrap())
}

fn days() -> i64 {
    from_env("DURAMEN_YEAR_DAYS", 35)
}

#[tokio::test]
async fn a_tenant_is_left_alone_for_years() {
    let mut life = Life::begin().await;
    let mut then = None;
    let mut clone = None;

    println!(
        "| day | samples | blocks | bytes of samples | of 5 m | of 1 h | all objects | written a sample | PUT and LIST a day | GET a day | $ a month |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");

    for day in 1..=days() {
        for _ in 0..12 {
            life.pass().await;
        }

        match day {
            LATE_DAY => {
                let at_ms = life.now_ms() - 8 * DAY_MS;
                let late = (vec![at_ms + 11, at_ms + 90_011], vec![1.0, 4.0]);
                let late = Samples::from([("load/9".to_owned(), late)]);
                life.flush(&late).await;
            }
            DELETION_DAY => {
                let from_ms = life.now_ms() - 5 * DAY_MS;
                let range = TimeRange::new(from_ms + 17, from_ms + 2 * DAY_MS).unwrap();
                life.delete("2", range, None).await;
            }
            SNAPSHOT_DAY => {
                let commit = Commit::snapshot("before");
                life.world.manifests.commit(TENANT, commit).await.unwrap();
                then = Some((life.kept.clone(), life.now_ms()));
            }
            VALUES_DAY => {
                let from_ms = life.now_ms() - 2 * DAY_MS;
                let range = TimeRange::new(from_ms, life.now_ms()).unwrap();
                let test = ValueTest {
                    op: ValueOp::Above,
                    operand: 90.0,
                };
                life.delete("3", range, Some(test)).await;
            }
            CLONE_DAY => {
                let id = TenantId(life.world.clock.new_ulid());
                let manifests = &life.world.manifests;
                let hold = Commit::snapshot(&clones::hold(id));
                let home = manifests.commit(TENANT, hold).await.unwrap();
                let begun = manifests.begin_clone(id, TENANT, home.sequence).await;
                begun.unwrap();

                let name = TenantName::parse("clone").unwrap();
                life.rounds.register.restore(&name, id).await.unwrap();
                clone = Some((id, life.kept.clone(), life.now_ms()));
            }
            _ => {}
        }

        life.night().await;

        if day % CHECK_DAYS == 0 || day == days() {
            life.show(day).await;
            let until_ms = life.now_ms() - HOUR_MS;
            life.check(TENANT, None, &life.kept, until_ms).await;
        }
    }

    // What the snapshot and the clone had is still there, as far as it is kept.
    if let Some((kept, until_ms)) = then.filter(|_| days() < SAMPLES_DAYS) {
        let before = AsOf::Snapshot(Arc::from("before"));
        let mut kept = kept;
        for (name, samples) in &mut kept {
            let now = &life.kept[name];
            samples.retain(|ts_ms, _| now.contains_key(ts_ms));
        }
        life.check(TENANT, Some(&before), &kept, until_ms - HOUR_MS)
            .await;
    }

    if let Some((id, kept, until_ms)) = clone {
        life.check(id, None, &kept, until_ms - HOUR_MS).await;
    }
}
