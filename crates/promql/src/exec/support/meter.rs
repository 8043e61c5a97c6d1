//! Measures the work of one operator of a plan.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use duramen_qos::Budget;
use duramen_runtime::Clock;
use duramen_source::{Read, Reads};

use crate::stats::Work;

thread_local! {
    /// The time of the operators that were polled inside of the poll that runs now on this thread.
    static INNER: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Counters for one operator in one run, for all its partitions together.
#[derive(Debug)]
pub(crate) struct Meter {
    clock: Arc<dyn Clock>,
    busy_ns: AtomicU64,
    rows: AtomicU64,
    batches: AtomicU64,
    bytes: AtomicU64,
    /// Counts what it reads from outside of the plan.
    pub(crate) reads: Arc<Reads>,
}

impl Meter {
    /// What it reads is within `memory`, the budget of the query.
    pub(crate) fn new(clock: Arc<dyn Clock>, memory: &Budget) -> Self {
        let zero = AtomicU64::default;
        Self {
            clock,
            busy_ns: zero(),
            rows: zero(),
            batches: zero(),
            bytes: zero(),
            reads: Arc::new(Reads::within(memory)),
        }
    }

    /// Runs a piece of the operator's work. The time of other operators that run inside of it
    /// counts for those.
    pub(crate) fn work<T>(&self, piece: impl FnOnce() -> T) -> T {
        let before = INNER.take();
        let started = self.clock.monotonic();
        let result = piece();
        let took = self.clock.monotonic().saturating_sub(started);
        let own = took.saturating_sub(INNER.replace(before + took));

        self.busy_ns.fetch_add(
            u64::try_from(own.as_nanos()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );

        result
    }

    pub(crate) fn gave(&self, batch: &RecordBatch) {
        self.rows
            .fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.bytes
            .fetch_add(batch.get_array_memory_size() as u64, Ordering::Relaxed);
    }

    /// Returns what was counted so far. `reads`: whether to include what was read.
    pub(crate) fn work_done(&self, reads: bool) -> Work {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let kinds: &[Read] = if reads { &Read::ALL } else { &[] };

        Work {
            busy: Duration::from_nanos(count(&self.busy_ns)),
            rows: count(&self.rows),
            batches: count(&self.batches),
            bytes: count(&self.bytes),
            reads: kinds
                .iter()
                .map(|what| (*what, self.reads.get(*what)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use duramen_runtime::MockClock;

    use super::*;

    #[test]
    fn what_an_inner_operator_takes_is_not_counted_for_the_outer() {
        let clock = MockClock::at(0);
        let memory = Budget::of_query(&duramen_qos::Account::unbounded(), 0);
        let [outer, first, second] =
            [(); 3].map(|()| Meter::new(Arc::clone(&clock) as Arc<dyn Clock>, &memory));
        let pass = |ms| clock.advance(Duration::from_millis(ms));

        outer.work(|| {
            pass(1);
            first.work(|| {
                pass(10);
                second.work(|| pass(100));
            });

            second.work(|| pass(1000));
            pass(2);
        });

        outer.work(|| pass(4));

        let busy = [outer, first, second].map(|meter| meter.work_done(false).busy.as_millis());
        assert_eq!(busy, [7, 10, 1100]);
    }
}
