//! The order of one writer's generations.

use std::sync::Arc;

use duramen_model::{Order, WriterId};
use duramen_runtime::Clock;
use parking_lot::Mutex;

/// Gives ascending orders, whatever the wall clock does.
#[derive(Debug)]
pub(crate) struct OrderClock {
    clock: Arc<dyn Clock>,
    writer: WriterId,
    last: Mutex<(u64, u64)>,
}

impl OrderClock {
    /// The flush numbers of an epoch start at `epoch << 32`, so they ascend over restarts without
    /// being stored.
    pub(crate) fn new(clock: Arc<dyn Clock>, writer: WriterId, epoch: u64) -> Self {
        Self {
            clock,
            writer,
            last: Mutex::new((0, epoch << 32)),
        }
    }

    /// Notes an existing order, so that the next one is later.
    pub(crate) fn observe(&self, order: Order) {
        let mut last = self.last.lock();
        last.0 = last.0.max(order.opened);
    }

    /// Returns an order that is later than all that were given or observed.
    pub(crate) fn next(&self) -> Order {
        let now_ms = u64::try_from(self.clock.now_ms()).unwrap_or(0);
        let mut last = self.last.lock();
        last.0 = (now_ms << 16).max(last.0 + 1);
        last.1 += 1;

        Order {
            opened: last.0,
            writer: self.writer,
            flush: last.1,
        }
    }
}

#[cfg(test)]
mod tests {
    use duramen_runtime::MockClock;
    use ulid::Ulid;

    use super::*;

    #[test]
    fn orders_ascend_when_the_clock_stands_or_was_ahead_once() {
        let clock = MockClock::at(1_000);
        let orders = OrderClock::new(clock, WriterId(Ulid::nil()), 3);
        let a = orders.next();
        let b = orders.next();

        assert!(a < b && a.flush < b.flush);

        orders.observe(Order {
            opened: 5_000 << 16,
            ..b
        });

        assert!(orders.next().opened > 5_000 << 16);
    }
}
