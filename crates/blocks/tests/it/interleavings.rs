//! A thousand runs of queries over an unruly store: slow and failing GETs, damaged bytes, evictions,
//! cancelled queries. Each run is the same for the same seed.

use std::sync::Arc;
use std::time::Duration;

use duramen_blocks::{Blocks, GetCost, HedgeMetrics, Hedges};
use duramen_bucket::{Bucket, Config};
use duramen_model::{BlockEntry, ErrorKind, Labels, Matcher, TimeRange};
use duramen_qos::{Account, Use};
use duramen_source::{Columns, GetLimit, MergeSource, Part, Reads, SeriesRequest, SeriesSource};
use duramen_testkit::store::Hooked;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::world::{PausedClock, Series, Unruly, contents, pause, stored, tenant};

const RUNS: u64 = 1000;
const READERS: u64 = 4;
const QUERIES: usize = 2;
/// The runs do not share anything but the bytes of the blocks, so they run side by side.
const THREADS: u64 = 4;
/// Fewer than the readers want, so that they wait for each other.
const REQUESTS_MAX: usize = 3;
/// No run needs this long on its clock: a retry waits for seconds, and an answer for a minute.
const RUN_MAX: Duration = Duration::from_secs(3 * 3600);

/// What all readers of a run share.
struct Run {
    blocks: Blocks,
    entries: Vec<BlockEntry>,
    expected: Vec<Series>,
    memory: Arc<Account>,
}

/// How the queries of a run ended.
#[derive(Debug, Default)]
struct Ends {
    right: u64,
    failed: u64,
    cancelled: u64,
}

impl Ends {
    fn plus(self, other: Self) -> Self {
        Self {
            right: self.right + other.right,
            failed: self.failed + other.failed,
            cancelled: self.cancelled + other.cancelled,
        }
    }
}

#[derive(Clone, Copy)]
enum Question {
    All,
    OneMetric,
    OneOfEach,
}

impl Question {
    fn matchers(self) -> Vec<Matcher> {
        match self {
            Self::All => vec![],
            Self::OneMetric => vec![Matcher::equal("__name__", "metric_1")],
            Self::OneOfEach => vec![Matcher::equal("i", "03")],
        }
    }
}

impl Run {
    fn over(
        store: &Arc<InMemory>,
        entries: &[BlockEntry],
        seed: u64,
    ) -> (Self, Arc<Hooked<Unruly>>) {
        let clock = PausedClock::new(seed);
        let unruly = Arc::new(Hooked::new(Arc::clone(store) as _, Unruly::new(seed)));
        let config = Config {
            requests_max: REQUESTS_MAX,
            ..Config::default()
        };

        let bucket = Bucket::over(
            Arc::clone(&unruly) as _,
            "unruly:".to_owned(),
            &config,
            Arc::clone(&clock) as _,
        );

        // Small caches, so that most of what is read is evicted before it is read again.
        let memory = Account::new(1 << 20);
        let cost = GetCost {
            prefetch_bytes_max: if seed.is_multiple_of(2) { 1 << 20 } else { 0 },
            gap_bytes_max: if seed.is_multiple_of(3) { 0 } else { 8 << 10 },
            get_bytes_max: 8 << 10,
        };

        let blocks = Blocks::new(bucket, 64 << 10, 2, Arc::clone(&memory))
            .at_cost(cost)
            .hedging(Hedges::new(clock, HedgeMetrics::default()));

        let run = Self {
            blocks,
            entries: entries.to_vec(),
            expected: contents(),
            memory,
        };

        (run, unruly)
    }

    /// Asks one question over all blocks, as one query does.
    async fn query(
        &self,
        question: Question,
        limit: &GetLimit,
    ) -> Result<Vec<Series>, duramen_source::Error> {
        let reads = Arc::new(Reads::default());
        reads.share_gets(limit);

        let open = self.entries.iter().map(async |entry| {
            let source = self.blocks.source(tenant(), entry, &reads).await?;
            Ok::<_, duramen_source::Error>(Part {
                order: entry.order.min,
                source: Arc::new(source),
                holds_samples: true,
            })
        });

        let parts = futures::future::try_join_all(open).await?;
        let merged = MergeSource::new(parts, Default::default()).within(&self.memory);
        let request = SeriesRequest {
            matchers: question.matchers().into(),
            range: TimeRange::ALL,
            columns: Columns::Samples,
            batch_series_max: 5,
            reads: Arc::clone(&reads),
        };

        let mut batches = merged.select(&request).await?;
        let mut found = Vec::new();

        while let Some(batch) = batches.try_next().await? {
            for row in 0..batch.len() {
                let labels = Labels::from_encoded(batch.labels_at(row)).unwrap();
                let (ts, values) = batch.samples_at(row);
                let bits = values.iter().map(|value| value.to_bits());
                found.push((labels, ts.iter().copied().zip(bits).collect()));
            }
        }

        Ok(found)
    }

    fn expected(&self, question: Question) -> Vec<Series> {
        let matchers = question.matchers();
        let passes = |labels: &Labels| {
            matchers
                .iter()
                .all(|m| m.matches(labels.get(&m.name).unwrap_or_default()))
        };

        let all = self.expected.iter();
        all.filter(|(labels, _)| passes(labels)).cloned().collect()
    }

    /// Asks some questions, and cancels some of them.
    async fn reader(&self, seed: u64) -> Ends {
        let mut random = StdRng::seed_from_u64(seed);
        let limit_max = random.random_range(1..4);
        let limit = GetLimit::new(limit_max);
        let mut ends = Ends::default();

        for _ in 0..QUERIES {
            pause(Duration::from_millis(random.random_range(0..200))).await;

            let question = match random.random_range(0..3) {
                0 => Question::All,
                1 => Question::OneMetric,
                _ => Question::OneOfEach,
            };

            let patience = if random.random_bool(0.4) {
                Duration::from_millis(random.random_range(0..400))
            } else {
                RUN_MAX
            };

            let answer = tokio::select! {
                biased;
                answer = self.query(question, &limit) => Some(answer),
                () = pause(patience) => None,
            };

            match answer {
                Some(Ok(found)) => {
                    assert!(
                        found == self.expected(question),
                        "seed {seed}: a wrong answer"
                    );
                    ends.right += 1;
                }
                Some(Err(error)) => {
                    let known = [ErrorKind::Corrupt, ErrorKind::Unavailable];
                    assert!(known.contains(&error.kind), "seed {seed}: {error}");
                    ends.failed += 1;
                }
                None => ends.cancelled += 1,
            }
        }

        // Tasks of cancelled queries end at their next turn.
        pause(Duration::from_millis(1)).await;
        ends
    }

    /// Takes memory back from the caches now and then.
    async fn evict(&self, seed: u64) {
        let mut random = StdRng::seed_from_u64(seed);
        loop {
            pause(Duration::from_millis(random.random_range(1..100))).await;

            // To have room for this, the account empties all caches.
            let share = self.memory.take(Use::Query, 900 << 10);
            pause(Duration::from_millis(random.random_range(0..5))).await;
            drop(share);
        }
    }
}

async fn run(store: &Arc<InMemory>, entries: &[BlockEntry], seed: u64) -> Ends {
    let (run, unruly) = Run::over(store, entries, seed);
    let readers = (0..READERS).map(|reader| run.reader(seed * READERS + reader));
    let all = futures::future::join_all(readers);

    let ends = tokio::select! {
        biased;
        ends = all => ends,
        () = run.evict(seed) => unreachable!("it never ends"),
        () = pause(RUN_MAX) => panic!("seed {seed}: a wait without end"),
    };

    assert_eq!(run.blocks.fetcher().running(), 0, "seed {seed}");
    assert_eq!(run.memory.used_by(Use::Query), 0, "seed {seed}");

    // Every permit of the process is back: as many requests as it may send go through.
    unruly.hook().calm_down();
    let limit = GetLimit::new(1);
    for question in [Question::All, Question::OneMetric, Question::OneOfEach] {
        let found = run.query(question, &limit).await.unwrap();
        assert!(found == run.expected(question), "seed {seed}: calm");
    }

    assert_eq!(limit.free(), 1, "seed {seed}");

    let memory = Arc::clone(&run.memory);
    drop(run);
    assert_eq!(memory.used(), 0, "seed {seed}");

    ends.into_iter().fold(Ends::default(), Ends::plus)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

#[test]
fn a_thousand_interleavings_give_no_wrong_answer_and_no_wait_without_end() {
    let (store, entries) = runtime().block_on(stored());
    let runs = |first: u64| {
        let (store, entries) = (&store, &entries);
        move || {
            let seeds = (first..RUNS).step_by(THREADS.try_into().unwrap());
            let runs = seeds.map(|seed| runtime().block_on(run(store, entries, seed)));
            runs.fold(Ends::default(), Ends::plus)
        }
    };

    let sum = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|first| scope.spawn(runs(first))).collect();
        let ends = threads.into_iter().map(|thread| thread.join().unwrap());
        ends.fold(Ends::default(), Ends::plus)
    });

    // Each end is met often enough to say something.
    let queries = RUNS * READERS * QUERIES as u64;
    assert_eq!(sum.right + sum.failed + sum.cancelled, queries);
    assert!(sum.right > queries / 4, "{sum:?}");
    assert!(sum.failed > queries / 1000, "{sum:?}");
    assert!(sum.cancelled > queries / 20, "{sum:?}");
}
