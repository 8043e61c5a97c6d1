//! Sends a second GET when the first is slow.

use std::sync::Arc;
use std::time::Duration;

use duramen_metrics::{Counter, Registry};
use duramen_runtime::Clock;
use duramen_source::{Read, Reads};
use futures::FutureExt;
use futures::future::{Either, select};
use parking_lot::Mutex;

/// The lengths of answers whose times are compared with each other: up to each of these, and more.
const CLASSES: [u64; 3] = [64 << 10, 512 << 10, 2 << 20];
/// The times of a class that are remembered.
const TIMES_MAX: usize = 128;
/// With fewer times, one slow answer would be the 95th of a hundred.
const TIMES_MIN: usize = 32;
/// The percentile is computed anew after so many times.
const TIMES_PER_COUNT: usize = 16;
/// Below this, a second request is no faster than the rest of the first.
const WAIT_MIN: Duration = Duration::from_millis(2);

/// Each GET saves this many parts of a hedge, and a hedge costs 100. So at most one GET in twenty
/// is hedged.
const SAVED_PER_GET: u32 = 5;
const HEDGE: u32 = 100;
/// A burst of slow answers may have this many hedges.
const SAVED_MAX: u32 = 10 * HEDGE;

/// Sends a GET once more when it is slower than 95 in 100 of its size on this store. The first
/// answer wins, and the other request is dropped. A second request is never sent a third time.
#[derive(Debug)]
pub struct Hedges {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    metrics: HedgeMetrics,
}

/// Counts the second requests of a process. A clone shares its counts.
#[derive(Clone, Debug, Default)]
pub struct HedgeMetrics {
    sent: Counter,
    won: Counter,
}

#[derive(Debug, Default)]
struct State {
    times: [Times; CLASSES.len() + 1],
    /// In hundredths of a hedge.
    saved: u32,
}

/// How long the last GETs of one class took.
#[derive(Debug, Default)]
struct Times {
    last: Vec<Duration>,
    next: usize,
    p95: Option<Duration>,
}

impl HedgeMetrics {
    /// Adds the metrics to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "duramen_block_hedges",
            "Second GETs of blocks, sent because the first was slow",
            self.sent.clone(),
        );

        registry.register(
            "duramen_block_hedges_won",
            "Second GETs of blocks that answered before the first",
            self.won.clone(),
        );
    }

    /// How many second requests were sent.
    pub fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// How many second requests answered before the first.
    pub fn won(&self) -> u64 {
        self.won.get()
    }
}

impl Hedges {
    pub fn new(clock: Arc<dyn Clock>, metrics: HedgeMetrics) -> Self {
        Self {
            clock,
            state: Mutex::default(),
            metrics,
        }
    }

    /// Sends a GET of `bytes` bytes by `send`, and a second one if the first is slow. If one fails
    /// while the other is under way, the other decides. If both fail, the error is that of the
    /// first.
    pub(crate) async fn race<T, E, F>(
        &self,
        bytes: u64,
        reads: &Reads,
        send: impl Fn() -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>> + Send,
    {
        let started = self.clock.monotonic();
        let wait = self.begin(bytes);
        let first = send().boxed();

        let answer = match wait {
            None => first.await,
            Some(wait) => match select(first, self.clock.sleep(wait)).await {
                Either::Left((answer, _)) => answer,
                Either::Right(((), first)) if self.may_hedge() => {
                    self.metrics.sent.inc();
                    reads.add(Read::Gets, 1);
                    reads.add(Read::Hedges, 1);

                    self.first_of(first, send().boxed()).await
                }
                Either::Right(((), first)) => first.await,
            },
        };

        if answer.is_ok() {
            let took = self.clock.monotonic().saturating_sub(started);
            self.state.lock().times[class(bytes)].add(took);
        }

        answer
    }

    /// Returns the first answer that is no error.
    async fn first_of<T, E>(
        &self,
        first: impl Future<Output = Result<T, E>> + Unpin,
        second: impl Future<Output = Result<T, E>> + Unpin,
    ) -> Result<T, E> {
        match select(first, second).await {
            Either::Left((Ok(answer), _)) => Ok(answer),
            Either::Left((Err(error), second)) => match second.await {
                Ok(answer) => Ok(self.won(answer)),
                Err(_) => Err(error),
            },
            Either::Right((Ok(answer), _)) => Ok(self.won(answer)),
            Either::Right((Err(_), first)) => first.await,
        }
    }

    fn won<T>(&self, answer: T) -> T {
        self.metrics.won.inc();
        answer
    }

    /// Counts a GET. Returns the time after which it is slow. `None` if too little is known.
    fn begin(&self, bytes: u64) -> Option<Duration> {
        let mut state = self.state.lock();
        state.saved = SAVED_MAX.min(state.saved + SAVED_PER_GET);
        state.times[class(bytes)].p95.map(|p95| p95.max(WAIT_MIN))
    }

    /// Takes a hedge from what was saved. Returns whether there was one.
    fn may_hedge(&self) -> bool {
        let mut state = self.state.lock();
        let rest = state.saved.checked_sub(HEDGE);
        state.saved = rest.unwrap_or(state.saved);
        rest.is_some()
    }
}

fn class(bytes: u64) -> usize {
    CLASSES.partition_point(|most| *most < bytes)
}

impl Times {
    fn add(&mut self, took: Duration) {
        match self.last.get_mut(self.next) {
            Some(time) => *time = took,
            None => self.last.push(took),
        }

        self.next = (self.next + 1) % TIMES_MAX;
        if self.next.is_multiple_of(TIMES_PER_COUNT) && self.last.len() >= TIMES_MIN {
            let mut sorted = self.last.clone();
            sorted.sort_unstable();
            self.p95 = sorted.get(sorted.len() * 95 / 100).copied();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use duramen_runtime::MockClock;

    use super::*;

    type Answer = Result<u32, &'static str>;

    const TRIP: Duration = Duration::from_millis(50);

    fn hedges() -> (Arc<MockClock>, Hedges) {
        let clock = MockClock::at(0);
        let hedges = Hedges::new(Arc::clone(&clock) as _, HedgeMetrics::default());
        (clock, hedges)
    }

    /// Runs `count` GETs that take [`TRIP`] each.
    async fn usual(clock: &MockClock, hedges: &Hedges, count: usize) {
        for _ in 0..count {
            let get = async || {
                clock.advance(TRIP);
                Ok::<u32, &str>(0)
            };

            hedges.race(1, &Reads::default(), get).await.unwrap();
        }
    }

    /// Runs a GET whose first request gives `first` and whose second gives `second`; `None` never
    /// answers. The clock moves past the time of a usual GET in between.
    async fn slow(
        clock: &MockClock,
        hedges: &Hedges,
        [first, second]: [Option<Answer>; 2],
    ) -> (Option<Answer>, u32) {
        let sent = AtomicU32::new(0);
        let reads = Reads::default();
        let send = || {
            let number = sent.fetch_add(1, Relaxed);
            let answer = if number == 0 { first } else { second };

            async move {
                // The first answer comes after the hedge was sent.
                if number == 0 {
                    futures::pending!();
                    futures::pending!();
                }

                match answer {
                    Some(answer) => answer,
                    None => pending().await,
                }
            }
        };

        let mut race = Box::pin(hedges.race(1, &reads, send));
        assert!((&mut race).now_or_never().is_none());
        clock.advance(TRIP);

        let answer = (0..4).find_map(|_| (&mut race).now_or_never());

        drop(race);
        assert_eq!(reads.get(Read::Hedges) + 1, u64::from(sent.load(Relaxed)));
        (answer, sent.load(Relaxed))
    }

    #[tokio::test]
    async fn a_slow_get_is_sent_once_more_and_the_first_answer_wins() {
        let (clock, hedges) = hedges();
        usual(&clock, &hedges, 100).await;

        let check = async |gets, expected| {
            assert_eq!(slow(&clock, &hedges, gets).await, (expected, 2), "{gets:?}");
        };

        check([None, Some(Ok(2))], Some(Ok(2))).await;
        check([Some(Ok(1)), None], Some(Ok(1))).await;

        // An error waits for the other request.
        check([Some(Ok(1)), Some(Err("b"))], Some(Ok(1))).await;
        check([Some(Err("a")), None], None).await;
        check([Some(Err("a")), Some(Err("b"))], Some(Err("a"))).await;

        assert_eq!((hedges.metrics.sent(), hedges.metrics.won()), (5, 1));
    }

    #[tokio::test]
    async fn a_get_is_not_hedged_before_the_store_is_known() {
        let (clock, hedges) = hedges();
        usual(&clock, &hedges, TIMES_MIN - 1).await;

        assert_eq!(slow(&clock, &hedges, [None, Some(Ok(2))]).await, (None, 1));
    }

    #[tokio::test]
    async fn no_more_than_one_get_in_twenty_is_hedged() {
        let (clock, hedges) = hedges();
        usual(&clock, &hedges, 40).await;

        let mut sent = 0;
        for _ in 0..1_000 {
            sent += slow(&clock, &hedges, [Some(Ok(1)), None]).await.1;
        }

        assert_eq!(sent - 1_000, (1_000 + 40) / 20);
        assert_eq!(hedges.metrics.sent(), u64::from(sent) - 1_000);
    }

    #[test]
    fn a_time_is_compared_with_those_of_its_size() {
        let classes = [1, 64 << 10, (64 << 10) + 1, 512 << 10, 2 << 20, 8 << 20].map(class);
        assert_eq!(classes, [0, 0, 1, 1, 2, 3]);
    }
}
