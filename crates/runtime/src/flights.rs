//! One piece of work for all who wait for its result at the same time.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use parking_lot::{Mutex, MutexGuard};

use crate::workers::Workers;

/// The work that is under way now, by what it makes. A clone is cheap; clones share.
///
/// A piece of work runs as a task of its own. So it goes on while those who wait for it do
/// something else, and what it holds, such as a permit, is free after a bounded time. It ends early
/// only when nobody waits for it any more.
pub struct Flights<K, V: Clone> {
    board: Arc<Mutex<Board<K, V>>>,
}

/// All work under way, while nobody else can start any.
pub struct Board<K, V: Clone> {
    running: HashMap<K, Running<V>>,
    started: u64,
}

struct Running<V: Clone> {
    number: u64,
    result: WeakShared<BoxFuture<'static, Option<V>>>,
}

/// The result of a piece of work, once it is there: `None` if the runtime that ran it has shut
/// down. A clone waits for the same work.
///
/// # Panics
/// If the work panics, so does everyone who waits for it.
#[derive(Clone)]
pub struct Flight<V: Clone>(Shared<BoxFuture<'static, Option<V>>>);

impl<K, V> Flights<K, V>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Locks the board, so that a caller can look for work and start what is missing in one step.
    /// A flight must not be dropped meanwhile.
    pub fn board(&self) -> MutexGuard<'_, Board<K, V>> {
        self.board.lock()
    }

    /// How many results are awaited now.
    pub fn running(&self) -> usize {
        self.board.lock().running.len()
    }

    /// Enters `work` on the board, which will make the results `keys`. It starts at the first poll
    /// of the flight.
    pub fn start(
        &self,
        board: &mut Board<K, V>,
        keys: Vec<K>,
        work: impl Future<Output = V> + Send + 'static,
    ) -> Flight<V> {
        board.started += 1;

        let number = board.started;
        let landing = Landing {
            board: Arc::clone(&self.board),
            keys: keys.clone(),
            number,
        };

        let flight = async move {
            let _landing = landing;
            work.await
        };

        let result = spawned(flight).boxed().shared();
        for key in keys {
            // A flight that has not been polled has a weak form.
            if let Some(result) = result.downgrade() {
                board.running.insert(key, Running { number, result });
            }
        }

        Flight(result)
    }

    /// Returns the work under way that makes `key`, or starts `work`.
    pub fn join(&self, key: &K, work: impl Future<Output = V> + Send + 'static) -> Flight<V> {
        let mut board = self.board();
        match board.find(key) {
            Some(flight) => flight,
            None => self.start(&mut board, vec![key.clone()], work),
        }
    }
}

/// Runs `work` as a task that ends when this future is dropped.
async fn spawned<V: Send + 'static>(work: impl Future<Output = V> + Send + 'static) -> Option<V> {
    match Workers::default().spawn(work).await {
        Ok(value) => Some(value),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => None,
        },
    }
}

impl<V: Clone> Flight<V> {
    /// Whether both wait for the same work.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

impl<K: Eq + Hash, V: Clone> Board<K, V> {
    /// Returns the work under way that makes `key`.
    pub fn find(&self, key: &K) -> Option<Flight<V>> {
        self.running.get(key)?.result.upgrade().map(Flight)
    }
}

/// Takes a piece of work off the board when it ends or is dropped.
struct Landing<K: Eq + Hash, V: Clone> {
    board: Arc<Mutex<Board<K, V>>>,
    keys: Vec<K>,
    number: u64,
}

impl<K: Eq + Hash, V: Clone> Drop for Landing<K, V> {
    fn drop(&mut self) {
        let mut board = self.board.lock();

        for key in &self.keys {
            // Others may have started anew after everyone had left this flight.
            if board
                .running
                .get(key)
                .is_some_and(|running| running.number == self.number)
            {
                board.running.remove(key);
            }
        }
    }
}

impl<V: Clone> Future for Flight<V> {
    type Output = Option<V>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<V>> {
        self.0.poll_unpin(context)
    }
}

impl<K, V: Clone> Default for Flights<K, V> {
    fn default() -> Self {
        let board = Board {
            running: HashMap::new(),
            started: 0,
        };

        Self {
            board: Arc::new(Mutex::new(board)),
        }
    }
}

impl<K, V: Clone> Clone for Flights<K, V> {
    fn clone(&self) -> Self {
        Self {
            board: Arc::clone(&self.board),
        }
    }
}

impl<K, V: Clone> fmt::Debug for Flights<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}

impl<K, V: Clone> fmt::Debug for Board<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board")
            .field("running", &self.running.len())
            .finish_non_exhaustive()
    }
}

impl<V: Clone> fmt::Debug for Flight<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use tokio::sync::Notify;

    use super::*;

    /// Work that ends when it is told to, and counts how often it began and was dropped early.
    #[derive(Clone, Default)]
    struct Work {
        began: Arc<AtomicUsize>,
        ended: Arc<Notify>,
        held: Arc<()>,
    }

    impl Work {
        async fn run(self) -> Result<u8, &'static str> {
            self.began.fetch_add(1, Relaxed);
            self.ended.notified().await;
            Err("all hear of it")
        }
    }

    async fn yields() {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn all_who_wait_share_one_piece_of_work_and_its_error() {
        let flights = Flights::default();
        let work = Work::default();
        let all = (0..5).map(|_| flights.join(&"key", work.clone().run()));
        let all: Vec<_> = all.collect();

        work.ended.notify_one();
        for result in futures::future::join_all(all).await {
            assert_eq!(result, Some(Err("all hear of it")));
        }

        assert_eq!(work.began.load(Relaxed), 1);
        assert_eq!(flights.running(), 0);
    }

    #[tokio::test]
    async fn the_others_go_on_when_the_one_who_started_is_dropped() {
        let flights = Flights::default();
        let work = Work::default();
        let mut first = flights.join(&"key", work.clone().run());
        let second = flights.join(&"key", work.clone().run());

        assert!((&mut first).now_or_never().is_none());
        yields().await;
        drop(first);

        work.ended.notify_one();
        assert_eq!(second.await, Some(Err("all hear of it")));
        assert_eq!(work.began.load(Relaxed), 1);
    }

    #[tokio::test]
    async fn work_goes_on_while_nobody_polls_and_ends_when_nobody_waits() {
        let flights = Flights::default();
        let work = Work::default();
        let mut first = flights.join(&"key", work.clone().run());

        assert!((&mut first).now_or_never().is_none());
        yields().await;
        assert_eq!(work.began.load(Relaxed), 1, "it runs without a poll");

        drop(first);
        yields().await;

        assert_eq!(Arc::strong_count(&work.held), 1, "the work was dropped");
        assert_eq!(flights.running(), 0);
    }

    #[tokio::test]
    async fn work_that_everyone_left_is_started_anew_and_stays_on_the_board() {
        let flights = Flights::default();
        let work = Work::default();
        let mut first = flights.join(&"key", work.clone().run());
        assert!((&mut first).now_or_never().is_none());
        drop(first);

        // The task of the first flight is aborted, but has not been dropped yet.
        let second = flights.join(&"key", work.clone().run());
        yields().await;
        assert_eq!(flights.running(), 1);

        work.ended.notify_one();
        assert_eq!(second.await, Some(Err("all hear of it")));
        assert_eq!(flights.running(), 0);
    }

    #[test]
    fn a_runtime_that_shuts_down_leaves_nobody_waiting() {
        let flights: Flights<_, u8> = Flights::default();
        let runtime = || {
            tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap()
        };

        let first = runtime();
        let mut flight = flights.join(&"key", std::future::pending());
        let clone = flight.clone();

        first.block_on(async {
            assert!((&mut flight).now_or_never().is_none());
            yields().await;
        });

        drop(first);
        assert_eq!(runtime().block_on(clone), None);
        assert_eq!(flights.running(), 0);
    }
}
