//! Limits how many queries run at the same time, in the process and for each tenant. Other queries
//! wait in the order in which they came.

use std::collections::HashMap;
use std::sync::Arc;

use duramen_limits::QueryLimits;
use duramen_model::TenantName;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;

/// The turns of one process. A tenant is listed only while it has queries, so there are never more
/// tenants than queries.
#[derive(Debug)]
pub(crate) struct Turns {
    process: Arc<Semaphore>,
    waiting_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Of all tenants.
    waiting: usize,
    tenants: HashMap<TenantName, Own>,
}

/// The turns and queries of one tenant.
#[derive(Debug)]
struct Own {
    turns: Arc<Semaphore>,
    /// How many turns were created. If the limit changes, new queries get new turns. Running
    /// queries keep the old ones until they end.
    max: usize,
    waiting: usize,
    /// Queries that wait or run.
    queries: usize,
}

/// The right to run, until it is dropped. It is passed on with the result, so that a query counts
/// as running while its answer is sent.
#[derive(Debug)]
pub struct Turn {
    _own: OwnedSemaphorePermit,
    _process: OwnedSemaphorePermit,
    _query: Registered,
}

impl Turns {
    /// At most `concurrency_max` queries of all tenants run at the same time, and `waiting_max`
    /// more may wait.
    pub(crate) fn new(concurrency_max: usize, waiting_max: usize) -> Self {
        Self {
            process: Arc::new(Semaphore::new(concurrency_max)),
            waiting_max,
            state: Mutex::default(),
        }
    }

    /// Waits for the turn of one more query of `tenant`. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// Immediately, if too many queries wait already.
    pub(crate) async fn take(
        self: &Arc<Self>,
        tenant: &TenantName,
        limits: &QueryLimits,
    ) -> Result<Turn, Error> {
        let (query, own) = self.register(tenant, limits.concurrency_max);
        let at_once = || {
            Some((
                Arc::clone(&own).try_acquire_owned().ok()?,
                Arc::clone(&self.process).try_acquire_owned().ok()?,
            ))
        };

        if let Some((own, process)) = at_once() {
            return Ok(Turn {
                _own: own,
                _process: process,
                _query: query,
            });
        }

        let waiting = self.wait(tenant, limits)?;
        let of_open = "the semaphores are never closed";
        let own = own.acquire_owned().await.expect(of_open);
        let process = Arc::clone(&self.process)
            .acquire_owned()
            .await
            .expect(of_open);

        drop(waiting);
        Ok(Turn {
            _own: own,
            _process: process,
            _query: query,
        })
    }

    fn register(self: &Arc<Self>, tenant: &TenantName, max: usize) -> (Registered, Arc<Semaphore>) {
        let mut state = self.state.lock();
        let fresh = || Own {
            turns: Arc::new(Semaphore::new(max)),
            max,
            waiting: 0,
            queries: 0,
        };

        let own = state.tenants.entry(tenant.clone()).or_insert_with(fresh);
        if own.max != max {
            (own.turns, own.max) = (Arc::new(Semaphore::new(max)), max);
        }

        own.queries += 1;

        let turns = Arc::clone(&own.turns);
        drop(state);

        (
            Registered {
                turns: Arc::clone(self),
                tenant: tenant.clone(),
            },
            turns,
        )
    }

    fn wait(&self, tenant: &TenantName, limits: &QueryLimits) -> Result<Waiting<'_>, Error> {
        let mut state = self.state.lock();
        if state.waiting >= self.waiting_max {
            return Err(Error::Busy {
                max: self.waiting_max,
            });
        }

        if let Some(own) = state.tenants.get_mut(tenant) {
            if own.waiting >= limits.waiting_max {
                return Err(Error::Waiting {
                    max: limits.waiting_max,
                    concurrency_max: limits.concurrency_max,
                });
            }

            own.waiting += 1;
        }

        state.waiting += 1;
        drop(state);
        Ok(Waiting {
            turns: self,
            tenant: tenant.clone(),
        })
    }

    /// Returns how many tenants have queries, and how many queries wait.
    #[cfg(test)]
    fn counts(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.tenants.len(), state.waiting)
    }
}

/// Counts a query of a tenant until it ends. The last query removes the tenant.
#[derive(Debug)]
struct Registered {
    turns: Arc<Turns>,
    tenant: TenantName,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut state = self.turns.state.lock();
        if let Some(own) = state.tenants.get_mut(&self.tenant) {
            own.queries -= 1;
            if own.queries == 0 {
                state.tenants.remove(&self.tenant);
            }
        }
    }
}

/// Counts a query while it waits.
struct Waiting<'a> {
    turns: &'a Turns,
    tenant: TenantName,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.state.lock();
        state.waiting -= 1;

        if let Some(own) = state.tenants.get_mut(&self.tenant) {
            own.waiting -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn limits(concurrency_max: usize, waiting_max: usize) -> QueryLimits {
        QueryLimits {
            concurrency_max,
            waiting_max,
            ..QueryLimits::default()
        }
    }

    fn tenant(name: &str) -> TenantName {
        TenantName::parse(name).unwrap()
    }

    #[test]
    fn a_tenant_waits_for_its_own_queries_and_not_for_those_of_others() {
        let turns = Arc::new(Turns::new(3, 10));
        let limits = limits(2, 10);
        let a = tenant("a");
        let b = tenant("b");
        let first = turns.take(&a, &limits).now_or_never().unwrap().unwrap();
        let _second = turns.take(&a, &limits).now_or_never().unwrap().unwrap();
        let mut third = Box::pin(turns.take(&a, &limits));

        assert!(
            (&mut third).now_or_never().is_none(),
            "the tenant has two turns"
        );

        let other = turns.take(&b, &limits).now_or_never().unwrap().unwrap();
        let mut fourth = Box::pin(turns.take(&b, &limits));

        assert!(
            (&mut fourth).now_or_never().is_none(),
            "the process has three turns"
        );

        drop(first);

        let fourth = fourth.now_or_never().unwrap().unwrap();
        assert!(
            (&mut third).now_or_never().is_none(),
            "the fourth waited for the process before"
        );

        drop(other);

        let third = third.now_or_never().unwrap().unwrap();
        drop((third, fourth));

        assert_eq!(
            turns.counts(),
            (1, 0),
            "only the tenant of the second is known"
        );
    }

    #[test]
    fn what_is_given_up_leaves_no_trace() {
        let turns = Arc::new(Turns::new(1, 10));
        let limits = limits(1, 10);
        let a = tenant("a");
        let b = tenant("b");
        let running = turns.take(&a, &limits).now_or_never().unwrap().unwrap();
        let mut waiting = Box::pin(turns.take(&b, &limits));

        assert!((&mut waiting).now_or_never().is_none());
        assert_eq!(turns.counts(), (2, 1));

        drop(waiting);
        assert_eq!(turns.counts(), (1, 0));

        drop(running);
        assert_eq!(turns.counts(), (0, 0));
        assert!(turns.take(&b, &limits).now_or_never().is_some());
    }

    #[test]
    fn the_queues_of_a_tenant_and_of_the_process_end_somewhere() {
        let turns = Arc::new(Turns::new(1, 2));
        let a = tenant("a");
        let b = tenant("b");
        let limits = limits(1, 1);
        let _running = turns.take(&a, &limits).now_or_never().unwrap().unwrap();
        let mut waiting: Vec<_> = [&a, &b]
            .map(|tenant| Box::pin(turns.take(tenant, &limits)))
            .into();

        assert!((&mut waiting[0]).now_or_never().is_none());

        let refused = turns.take(&a, &limits).now_or_never().unwrap();
        assert!(
            matches!(
                refused,
                Err(Error::Waiting {
                    max: 1,
                    concurrency_max: 1
                })
            ),
            "{refused:?}"
        );

        assert!((&mut waiting[1]).now_or_never().is_none());

        let refused = turns.take(&tenant("c"), &limits).now_or_never().unwrap();
        assert!(
            matches!(refused, Err(Error::Busy { max: 2 })),
            "{refused:?}"
        );
    }

    #[test]
    fn a_limit_that_changes_counts_for_new_queries() {
        let turns = Arc::new(Turns::new(9, 9));
        let a = tenant("a");

        let _running = turns
            .take(&a, &limits(1, 1))
            .now_or_never()
            .unwrap()
            .unwrap();

        assert!(turns.take(&a, &limits(1, 1)).now_or_never().is_none());
        assert!(turns.take(&a, &limits(2, 1)).now_or_never().is_some());
    }
}
