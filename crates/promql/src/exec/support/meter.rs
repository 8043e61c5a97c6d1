//! How much one operator of a plan does.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::physical_plan::metrics::{Count, Metric, MetricValue, MetricsSet};
use duramen_runtime::Clock;
use duramen_source::{Read, Reads};

use crate::stats::Work;

const BUSY: &str = "busy_ns";
const ROWS: &str = "rows";
const BATCHES: &str = "batches";
const BYTES: &str = "bytes";

thread_local! {
    /// What the operators took that were polled inside of the poll that runs now on this thread.
    static INNER: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Counts for one operator, all its partitions together.
#[derive(Debug)]
pub(crate) struct Meter {
    clock: Arc<dyn Clock>,
    busy_ns: AtomicU64,
    rows: AtomicU64,
    batches: AtomicU64,
    bytes: AtomicU64,
}

impl Meter {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let zero = AtomicU64::default;
        Self {
            clock,
            busy_ns: zero(),
            rows: zero(),
            batches: zero(),
            bytes: zero(),
        }
    }

    /// Runs a piece of the operator's work. The pieces of other operators that run inside of it
    /// count for those.
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

    /// The counts, with those of what was read, as DataFusion passes them on.
    pub(crate) fn metrics(&self, reads: Option<&Reads>) -> MetricsSet {
        let mut metrics = MetricsSet::new();
        let counts = [
            (BUSY, &self.busy_ns),
            (ROWS, &self.rows),
            (BATCHES, &self.batches),
            (BYTES, &self.bytes),
        ];

        for (name, count) in counts {
            push(&mut metrics, name, count.load(Ordering::Relaxed));
        }

        for (what, reads) in reads
            .into_iter()
            .flat_map(|reads| Read::ALL.map(|what| (what, reads)))
        {
            push(&mut metrics, what.name(), reads.get(what));
        }
        metrics
    }
}

fn push(metrics: &mut MetricsSet, name: &'static str, value: u64) {
    let count = Count::new();
    count.add(usize::try_from(value).unwrap_or(usize::MAX));

    metrics.push(Arc::new(Metric::new(
        MetricValue::Count {
            name: name.into(),
            count,
        },
        None,
    )));
}

/// What the counts of [`Meter::metrics`] say.
pub(crate) fn work(metrics: &MetricsSet) -> Work {
    let count = |name| {
        metrics
            .sum_by_name(name)
            .map(|value| value.as_usize() as u64)
    };

    let counted = |name| count(name).unwrap_or(0);
    Work {
        busy: Duration::from_nanos(counted(BUSY)),
        rows: counted(ROWS),
        batches: counted(BATCHES),
        bytes: counted(BYTES),
        reads: Read::ALL
            .into_iter()
            .filter_map(|what| Some((what, count(what.name())?)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use duramen_runtime::MockClock;

    use super::*;

    #[test]
    fn what_an_inner_operator_takes_is_not_counted_for_the_outer() {
        let clock = MockClock::at(0);
        let [outer, first, second] =
            [(); 3].map(|()| Meter::new(Arc::clone(&clock) as Arc<dyn Clock>));
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

        let busy = [outer, first, second].map(|meter| work(&meter.metrics(None)).busy.as_millis());
        assert_eq!(busy, [7, 10, 1100]);
    }
}
