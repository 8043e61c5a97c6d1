//! Writers, workers, collectors and queries of one store, in every order that a seed can think of.
//!
//! Each process has a clock of its own, off by hours or days. Of its writes, a fifth fail, half of
//! these after they had their effect. It may stop at any request, before or after the request has
//! its effect, for longer than every grace; then it goes on, or it is dead, or goes on although
//! another has taken its place. Only one process runs at a time, so a seed always does the same.
//!
//! `DURAMEN_SIMULATION_SEEDS` sets how many seeds are run, and `DURAMEN_SIMULATION_FIRST` the first
//! of them.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use duramen_blocks::{MemoryBlock, Publisher};
use duramen_bucket::{Bucket, Config, RetryPolicy, WriterIdentity, keys};
use duramen_compact::{
    ClaimWhen, Claims, Collector, CollectorSettings, Named, Policy, Replaced, Worker,
};
use duramen_manifest::{Commit, Manifests, Reserved, State};
use duramen_model::{AsOf, BlockEntry, Content, Incarnation, Order, WriterId};
use duramen_runtime::{Clock, Entropy, MockClock};
use duramen_testkit::store::{SimClient, SimStore};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Mutex;
use ulid::Ulid;

use crate::entries::{DAY_MS, HOUR_MS};
use crate::store::{Answer, Process, TENANT, check_rollups, orphans, query, written};

const START_MS: i64 = 20_000 * DAY_MS;
const AGE: Duration = Duration::from_hours(24);
const GRACE: Duration = Duration::from_hours(1);
/// The longest query.
const QUERY_MAX: Duration = Duration::from_mins(45);
/// How far clocks are off at most.
const OFF_MS: i64 = 3 * DAY_MS;
const STEPS: usize = 120;

/// What a process is doing: it has stopped, or is about to begin.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A process, its clocks, and what it has begun.
struct Actor {
    client: SimClient,
    role: Role,
    work: Option<Work>,
}

#[derive(Clone)]
enum Role {
    Writer(Arc<Writer>),
    Worker(Arc<Process>),
    Collector(Arc<Collector>),
}

/// A process that writes, with a log that outlives it.
struct Writer {
    manifests: Manifests,
    publisher: Publisher,
    log: Log,
    /// Whether it has fenced out the processes before it.
    is_fenced: Mutex<bool>,
    /// What the first flush of the log has come to in this process.
    offered: Mutex<Option<Offered>>,
}

/// What is acknowledged and not known to be in blocks.
type Log = Arc<Mutex<Vec<Acknowledged>>>;

#[derive(Clone)]
struct Acknowledged {
    order: Order,
    samples: Answer,
}

struct Offered {
    flush: u64,
    entry: BlockEntry,
    _reserved: Reserved,
}

/// A query that goes on with the state that it began with.
struct Query {
    state: Arc<State>,
    expected: Answer,
    began: Duration,
}

struct World {
    random: StdRng,
    store: SimStore,
    clocks: Vec<Arc<MockClock>>,
    actors: Vec<Actor>,
    /// Processes that stopped, and whose place another has taken.
    zombies: Vec<Actor>,
    logs: BTreeMap<u64, Log>,
    /// Whoever looks on. Nothing befalls it.
    observer: Process,
    acknowledged: Answer,
    flushes: BTreeMap<u64, Vec<Acknowledged>>,
    queries: Vec<Query>,
    /// The named snapshots, and what each of them must have.
    snapshots: BTreeMap<String, Answer>,
    numbers: u64,
    samples: i64,
    stats: Stats,
}

/// What has happened, so that a simulation in which nothing happens is noticed.
#[derive(Debug, Default)]
struct Stats {
    stops: u64,
    deaths: u64,
    queries: u64,
    snapshots: u64,
    merged: u64,
    rolled: u64,
    horizons: u64,
}

fn bucket(client: &SimClient, clock: &Arc<MockClock>) -> Bucket {
    let config = Config {
        retry: RetryPolicy {
            attempts_max: 1,
            ..RetryPolicy::default()
        },
        ..Config::default()
    };

    let store = Arc::new(client.clone());
    Bucket::over(store, "sim:".to_owned(), &config, Arc::clone(clock) as _)
}

impl World {
    fn new(seed: u64) -> Self {
        let store_clock = MockClock::with(START_MS, Entropy::seeded(seed));
        let store = SimStore::new(Arc::clone(&store_clock));
        let observing = bucket(&store.client(), &store_clock);
        let observer = Process::new(&observing, 1_000, START_MS, Policy::default(), 100);

        let mut world = Self {
            random: StdRng::seed_from_u64(seed),
            store,
            clocks: vec![store_clock],
            actors: Vec::new(),
            zombies: Vec::new(),
            logs: BTreeMap::from([(1, Log::default()), (2, Log::default())]),
            observer,
            acknowledged: Answer::new(),
            flushes: BTreeMap::new(),
            queries: Vec::new(),
            snapshots: BTreeMap::new(),
            numbers: 0,
            samples: 0,
            stats: Stats::default(),
        };

        for place in 0..6 {
            let actor = world.actor(place);
            world.actors.push(actor);
        }

        world
    }

    /// Makes the process at a place: two writers, two workers, two collectors.
    fn actor(&mut self, place: usize) -> Actor {
        self.numbers += 1;
        let number = self.numbers;
        let seed = self.random.random();

        let off_ms = match self.random.random_range(0..4) {
            0 => self.random.random_range(-OFF_MS..=OFF_MS),
            1 => self.random.random_range(-12 * HOUR_MS..=12 * HOUR_MS),
            _ => 0,
        };

        let now_ms = self.store.clock().now_ms() + off_ms;
        let clock = MockClock::with(now_ms, Entropy::seeded(seed));
        let client = self.store.failing_client(seed, 20);
        let bucket = bucket(&client, &clock);
        self.clocks.push(Arc::clone(&clock));

        let role = match place {
            0 | 1 => Role::Writer(Arc::new(self.writer(place as u64 + 1, &bucket, &clock))),
            2 | 3 => Role::Worker(Arc::new(self.worker(10_000 + number, bucket, &clock))),
            _ => Role::Collector(Arc::new(collector(10_000 + number, &bucket, &clock))),
        };

        Actor {
            client,
            role,
            work: None,
        }
    }

    fn writer(&self, number: u64, bucket: &Bucket, clock: &Arc<MockClock>) -> Writer {
        let identity = WriterIdentity {
            writer: WriterId(Ulid(u128::from(number))),
            // The number of the process: each is later than those before.
            epoch: self.numbers,
            incarnation: Incarnation(Ulid(u128::from(self.numbers))),
        };

        let manifests = Manifests::new(bucket.clone(), Arc::clone(clock) as _, identity);
        Writer {
            publisher: Publisher::new(bucket.clone(), manifests.clone()),
            manifests,
            log: Arc::clone(&self.logs[&number]),
            is_fenced: Mutex::default(),
            offered: Mutex::default(),
        }
    }

    fn worker(&mut self, number: u64, bucket: Bucket, clock: &Arc<MockClock>) -> Process {
        let mut process = Process::new(
            &bucket,
            number,
            clock.now_ms(),
            Policy::with_rollups(true),
            100,
        );
        self.clocks.push(Arc::clone(&process.clock));

        let worker = Worker::new(bucket.clone(), &**clock);
        let claims = Claims::new(bucket, worker, Arc::clone(clock) as _);
        process.compactor = process.compactor.claiming(claims, ClaimWhen::Always);
        process
    }

    fn advance(&self, by: Duration) {
        for clock in &self.clocks {
            clock.advance(by);
        }
    }

    fn now(&self) -> Duration {
        self.store.clock().monotonic()
    }

    async fn step(&mut self) {
        match self.random.random_range(0..21) {
            0..3 => self.acknowledge().await,
            3..11 => {
                let at = self.random.random_range(0..self.actors.len());
                self.act(at).await;
            }
            11..13 => self.raise_a_zombie().await,
            13..15 => self.begin_query().await,
            15 => {
                let day = self.random.random_range(0..2 * AGE.as_secs());
                self.advance(Duration::from_secs(day));
            }
            16 => {
                let while_a_query_runs = self.random.random_range(0..QUERY_MAX.as_secs());
                self.advance(Duration::from_secs(while_a_query_runs));
            }
            17 => self.name_or_drop().await,
            _ => {
                let pause = self.random.random_range(0..300);
                self.advance(Duration::from_secs(pause));
            }
        }

        self.end_queries().await;
        self.check().await;
    }

    /// A writer acknowledges samples, each with a time of its own.
    async fn acknowledge(&mut self) {
        let writer = self.random.random_range(1..=2);
        let day_ms = START_MS - self.random.random_range(2..4) * DAY_MS;
        let count = self.random.random_range(1..8);
        let flushes = self.flushes.entry(writer).or_default();

        let samples: Answer = (0..count)
            .map(|n| {
                let name = u8::try_from(n % 3).unwrap();
                ((name, day_ms + self.samples + n), writer)
            })
            .collect();
        self.samples += count;

        let acknowledged = Acknowledged {
            order: Order {
                opened: self.store.clock().now_ms().cast_unsigned() << 16,
                writer: WriterId(Ulid(u128::from(writer))),
                flush: flushes.len() as u64 + 1,
            },
            samples,
        };

        self.acknowledged.extend(acknowledged.samples.clone());
        flushes.push(acknowledged.clone());
        self.logs[&writer].lock().await.push(acknowledged);
    }

    /// Lets a process go on with what it does, or begin something. It may stop again, and may then
    /// be dead, or its place may be taken.
    async fn act(&mut self, at: usize) {
        let stops = self.random.random_bool(0.5);
        let request = self.random.random_range(1..14);
        let is_done = self.random.random();
        let actor = &mut self.actors[at];

        actor.client.resume();
        if stops {
            actor.client.stop_at(request, is_done);
        }

        if actor.run().await {
            return;
        }

        self.stats.stops += 1;
        match self.random.random_range(0..10) {
            0..3 => {
                self.stats.deaths += 1;
                self.actors[at] = self.actor(at);
            }
            3 => {
                let next = self.actor(at);
                let zombie = std::mem::replace(&mut self.actors[at], next);
                self.zombies.push(zombie);
            }
            _ => {}
        }
    }

    async fn raise_a_zombie(&mut self) {
        if self.zombies.is_empty() {
            return;
        }

        let at = self.random.random_range(0..self.zombies.len());
        let mut zombie = self.zombies.swap_remove(at);
        zombie.client.resume();
        assert!(zombie.run().await, "nothing stops it");
    }

    async fn begin_query(&mut self) {
        let state = self.observer.state().await;
        let expected = query(&self.observer.bucket, &state).await;

        self.queries.push(Query {
            state,
            expected,
            began: self.now(),
        });
    }

    /// Gives the present a name, or reads a named snapshot and drops it.
    async fn name_or_drop(&mut self) {
        if self.snapshots.len() >= 3 || self.random.random_bool(0.3) {
            self.check_snapshots().await;

            if let Some((name, _)) = self.snapshots.pop_first() {
                self.commit(Commit::drop_snapshot(&name)).await;
            }

            return;
        }

        self.stats.snapshots += 1;
        let name = format!("s{}", self.stats.snapshots);
        self.commit(Commit::snapshot(&name)).await;

        let state = self.observer.state().await;
        let expected = query(&self.observer.bucket, &state).await;
        self.snapshots.insert(name, expected);
    }

    async fn commit(&mut self, commit: Commit) {
        let committed = self.observer.manifests.commit(TENANT, commit);
        committed.await.unwrap();
    }

    /// Reads each named snapshot, whatever was merged and collected since.
    async fn check_snapshots(&mut self) {
        for (name, expected) in &self.snapshots {
            let as_of = AsOf::Snapshot(Arc::from(name.as_str()));
            let then = self.observer.manifests.as_of(TENANT, &as_of).await.unwrap();
            let found = query(&self.observer.bucket, &then).await;
            assert_eq!(found, *expected, "{name}");
        }
    }

    /// Ends the queries whose time is over. Those that had too long a time are given up.
    async fn end_queries(&mut self) {
        let now = self.now();
        for begun in std::mem::take(&mut self.queries) {
            let takes = now - begun.began;

            if takes <= QUERY_MAX && self.random.random_bool(0.7) {
                self.queries.push(begun);
            } else if takes <= QUERY_MAX {
                self.stats.queries += 1;
                let found = query(&self.observer.bucket, &begun.state).await;
                assert_eq!(found, begun.expected, "a query that began before");
            }
        }
    }

    /// What must hold after every step.
    async fn check(&mut self) {
        let before = self.observer.manifests.cached(TENANT);
        let state = self.observer.state().await;
        assert!(before.is_none_or(|before| before.sequence <= state.sequence));

        // No object of a live block is missing.
        orphans(&self.observer.bucket, &state).await;

        // What is in blocks is there once.
        let raw = state.blocks.values();
        let raw = raw.filter(|entry| entry.resolution_ms.is_none());
        let in_blocks: u64 = raw.map(|entry| entry.stats.samples).sum();
        let flushed = self.flushed(&state);
        assert_eq!(in_blocks, flushed.len() as u64);
    }

    /// The samples that the manifest says are in blocks.
    fn flushed(&self, state: &State) -> Answer {
        let of_writer = |(writer, flushes): (&u64, &Vec<Acknowledged>)| {
            let position = state.flushed_position(WriterId(Ulid(u128::from(*writer))));
            let flushed = flushes.iter().take(usize::try_from(position).unwrap());
            let samples = flushed.flat_map(|flush| flush.samples.clone());
            samples.collect::<Vec<_>>()
        };

        self.flushes.iter().flat_map(of_writer).collect()
    }

    /// Lets everybody end in peace, and checks what is left.
    async fn end(mut self) -> Stats {
        let mut all = std::mem::take(&mut self.zombies);
        all.append(&mut self.actors);

        for mut actor in all {
            actor.client.set_failing(0);
            actor.client.resume();
            assert!(actor.run().await, "nothing stops it");
            self.check().await;
        }

        // All that was acknowledged comes into blocks, whichever process does it.
        for place in [0, 1, 0, 1] {
            let mut writer = self.actor(place);
            writer.client.set_failing(0);
            assert!(writer.run().await);
        }

        let state = self.observer.state().await;
        assert_eq!(self.flushed(&state), self.acknowledged);

        // A job that a dead worker has claimed is taken over.
        let mut worker = self.actor(2);
        worker.client.set_failing(0);
        for _ in 0..2 {
            assert!(worker.run().await);
            self.advance(Duration::from_mins(2));
        }

        self.advance(AGE + Duration::from_millis(OFF_MS.unsigned_abs()) + GRACE);
        self.check_snapshots().await;
        for name in std::mem::take(&mut self.snapshots).into_keys() {
            self.commit(Commit::drop_snapshot(&name)).await;
        }

        let mut last = self.actor(4);
        last.client.set_failing(0);
        let clock = Arc::clone(self.store.clock());
        let sound = bucket(&last.client, &clock);
        last.role = Role::Collector(Arc::new(collector(20_000, &sound, &clock)));
        assert!(last.run().await);
        self.check().await;

        let state = self.observer.state().await;
        let found = query(&self.observer.bucket, &state).await;
        assert_eq!(found, self.acknowledged);
        check_rollups(&self.observer.bucket, &state, &found).await;
        assert_eq!(orphans(&self.observer.bucket, &state).await, 0);

        let bucket = &self.observer.bucket;
        let jobs = bucket.list(&keys::jobs(TENANT), None).await.unwrap();
        let workers = bucket.list(&keys::WORKERS.into(), None).await.unwrap();
        assert_eq!((jobs.len(), workers.len()), (0, 0));

        // Everybody reads the same history.
        let clock = self.store.clock();
        let fresh = Process::new(bucket, 1_001, clock.now_ms(), Policy::default(), 100);
        assert_eq!(fresh.state().await, state);

        self.stats.merged = state
            .blocks
            .values()
            .map(|entry| u64::from(entry.level > 0))
            .sum();
        self.stats.rolled = state
            .blocks
            .values()
            .map(|entry| u64::from(!entry.rolled.is_empty()))
            .sum();
        self.stats.horizons = u64::from(state.horizon.is_some());
        self.stats
    }
}

fn collector(number: u64, bucket: &Bucket, clock: &Arc<MockClock>) -> Collector {
    let identity = WriterIdentity {
        writer: WriterId(Ulid(u128::from(number))),
        epoch: 0,
        incarnation: Incarnation(Ulid(u128::from(number))),
    };

    let manifests = Manifests::new(bucket.clone(), Arc::clone(clock) as _, identity);
    let worker = Worker::new(bucket.clone(), &**clock);
    let settings = CollectorSettings {
        age: AGE,
        grace: GRACE,
        slots: 4,
    };

    Collector::new(
        bucket.clone(),
        manifests,
        worker,
        settings,
        Replaced::default(),
        Named::default(),
    )
}

impl Actor {
    /// Goes on with its work, or begins some. Returns false if it stops before the end.
    async fn run(&mut self) -> bool {
        let role = self.role.clone();
        let work = self.work.get_or_insert_with(|| role.work());

        tokio::select! {
            biased;
            () = work => {
                self.work = None;
                true
            }
            () = self.client.stopped() => false,
        }
    }
}

impl Role {
    fn work(self) -> Work {
        match self {
            Self::Writer(writer) => Box::pin(async move { writer.flush().await }),
            Self::Worker(process) => Box::pin(async move {
                let compactor = &process.compactor;
                // What fails is left to the next time.
                let _ = compactor.drain(TENANT, |_| true, |_| {}).await;
            }),
            Self::Collector(collector) => Box::pin(async move {
                if let Ok(time) = collector.begin().await {
                    let _ = collector.collect(TENANT, &time).await;
                    let _ = collector.end().await;
                }
            }),
        }
    }
}

impl Writer {
    /// Brings what is in the log into blocks, as a flush of the ingester does. What fails is left
    /// to the next time.
    async fn flush(&self) {
        let mut is_fenced = self.is_fenced.lock().await;
        if !*is_fenced {
            if self.manifests.fence(TENANT).await.is_err() {
                return;
            }
            *is_fenced = true;
        }

        while self.flush_first().await {}
    }

    /// Flushes the first part of the log that is not in blocks. Returns whether there may be more.
    async fn flush_first(&self) -> bool {
        let Some(state) = self.manifests.cached(TENANT) else {
            return false;
        };

        let writer = self.manifests.identity().writer;
        let position = usize::try_from(state.flushed_position(writer)).unwrap();
        let Some(next) = self.log.lock().await.get(position).cloned() else {
            return false;
        };

        let flush = next.order.flush;
        let offered = self.offered.lock().await.take();
        let offered = match offered.filter(|offered| offered.flush == flush) {
            Some(offered) => offered,
            None => match self.upload(&next).await {
                Some(offered) => offered,
                None => return false,
            },
        };

        let entries = vec![offered.entry.clone()];
        let committed = self
            .publisher
            .commit_flush(TENANT, entries, flush, flush)
            .await;

        match committed {
            Ok(_) => true,
            // It comes again under a new id.
            Err(error) if error.is_behind_horizon() => true,
            Err(_) => {
                *self.offered.lock().await = Some(offered);
                false
            }
        }
    }

    async fn upload(&self, part: &Acknowledged) -> Option<Offered> {
        let reserved = self.publisher.reserve(TENANT);
        let (stats, files) = written(&part.samples).finish_in_memory().unwrap();
        let content = Content::of_flush(TENANT, part.order, 0);
        let entry = BlockEntry::of_flush(reserved.id(), part.order, content, stats);

        let block = MemoryBlock { entry, files };
        let uploaded = self.publisher.upload_from_memory(TENANT, block).await;

        Some(Offered {
            flush: part.order.flush,
            entry: uploaded.ok()?,
            _reserved: reserved,
        })
    }
}

async fn simulate(seed: u64) -> Stats {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step().await;
    }

    world.end().await
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs one of four parts of the seeds.
fn part(part: u64) {
    let seeds = setting("DURAMEN_SIMULATION_SEEDS").unwrap_or(200);
    let first = setting("DURAMEN_SIMULATION_FIRST").unwrap_or(0);
    let mut all = Stats::default();

    for seed in (first..first + seeds).filter(|seed| seed % 4 == part) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let simulation = AssertUnwindSafe(|| runtime.block_on(simulate(seed)));
        let simulated = std::panic::catch_unwind(simulation);
        assert!(simulated.is_ok(), "the simulation of seed {seed} failed");
        let stats = simulated.unwrap_or_default();

        all.stops += stats.stops;
        all.deaths += stats.deaths;
        all.queries += stats.queries;
        all.snapshots += stats.snapshots;
        all.merged += stats.merged;
        all.rolled += stats.rolled;
        all.horizons += stats.horizons;
    }

    let happened = [
        all.stops,
        all.deaths,
        all.queries,
        all.snapshots,
        all.merged,
        all.rolled,
        all.horizons,
    ];

    assert!(
        seeds < 200 || happened.iter().all(|count| *count > 10),
        "{all:?}"
    );
}

#[test]
fn seeds_of_the_first_part() {
    part(0);
}

#[test]
fn seeds_of_the_second_part() {
    part(1);
}

#[test]
fn seeds_of_the_third_part() {
    part(2);
}

#[test]
fn seeds_of_the_fourth_part() {
    part(3);
}
