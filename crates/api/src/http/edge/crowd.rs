//! The limit of open connections, and which of them gives way to a new one.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_metrics::{Counter, Family, Gauge, Registry, label_set};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// The open connections of one listener.
#[derive(Debug)]
pub(crate) struct Crowd {
    connections_max: usize,
    metrics: ConnectionMetrics,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: usize,
    /// Connections without a request, in the order in which they became idle, with the tokens that
    /// end them.
    idle: BTreeMap<u64, CancellationToken>,
    next: u64,
}

/// A connection that counts as open until it is dropped.
#[derive(Debug)]
pub(crate) struct Member {
    crowd: Arc<Crowd>,
    /// Ends the connection when a new one needs its place.
    gives_way: CancellationToken,
    /// The key of this connection in `idle`; `None` while it has a request.
    idle: Option<u64>,
}

impl Crowd {
    pub(crate) fn new(connections_max: usize, metrics: ConnectionMetrics) -> Arc<Self> {
        Arc::new(Self {
            connections_max,
            metrics,
            state: Mutex::default(),
        })
    }

    /// Admits one more connection. At the limit, the connection that has been idle for longest
    /// gives way; returns `None` if none is idle.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Member> {
        let mut state = self.state.lock();

        if state.open >= self.connections_max {
            let Some((_, gives_way)) = state.idle.pop_first() else {
                self.metrics.cut("refused");
                return None;
            };

            gives_way.cancel();
            self.metrics.cut("gave_way");
        }

        state.open += 1;
        drop(state);
        self.metrics.open.inc();

        let mut member = Member {
            crowd: Arc::clone(self),
            gives_way: CancellationToken::new(),
            idle: None,
        };

        member.rest();
        Some(member)
    }

    pub(crate) const fn metrics(&self) -> &ConnectionMetrics {
        &self.metrics
    }

    pub(crate) fn open(&self) -> usize {
        self.state.lock().open
    }
}

impl Member {
    /// Marks the connection as idle.
    pub(crate) fn rest(&mut self) {
        if self.idle.is_none() {
            let mut state = self.crowd.state.lock();
            let number = state.next;
            state.next += 1;
            state.idle.insert(number, self.gives_way.clone());
            self.idle = Some(number);
        }
    }

    /// Marks the connection as busy with a request.
    pub(crate) fn work(&mut self) {
        if let Some(number) = self.idle.take() {
            self.crowd.state.lock().idle.remove(&number);
        }
    }

    /// Returns the token that is cancelled when a new connection needs the place of this one.
    pub(crate) fn gives_way(&self) -> CancellationToken {
        self.gives_way.clone()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.work();
        self.crowd.state.lock().open -= 1;
        self.crowd.metrics.open.dec();
    }
}

/// The metrics of connections.
#[derive(Clone, Debug, Default)]
pub struct ConnectionMetrics {
    open: Gauge,
    cut: Family<CutLabel, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct CutLabel {
    reason: &'static str,
}

label_set!(CutLabel: reason);

impl ConnectionMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "duramen_http_connections",
            "Connections that are open",
            self.open.clone(),
        );

        let cut =
            "Connections that were refused or ended before their clients ended them, by the reason";
        registry.register("duramen_http_connections_cut", cut, self.cut.clone());
    }

    pub(crate) fn cut(&self, reason: &'static str) {
        self.cut.get_or_create(&CutLabel { reason }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_that_rests_for_longest_gives_way_and_one_with_a_request_does_not() {
        let crowd = Crowd::new(3, ConnectionMetrics::default());
        let mut members: Vec<Member> = (0..3).map(|_| crowd.enter().unwrap()).collect();
        members[0].work();

        let _fourth = crowd.enter().unwrap();
        let gave_way: Vec<bool> = members
            .iter()
            .map(|member| member.gives_way.is_cancelled())
            .collect();

        assert_eq!(gave_way, [false, true, false]);

        drop(members.remove(1));
        assert_eq!(crowd.open(), 3);

        members[0].rest();
        members[1].work();

        let mut fifth = crowd.enter().unwrap();
        assert!(_fourth.gives_way.is_cancelled() && !members[0].gives_way.is_cancelled());

        members[0].work();
        fifth.work();

        assert!(crowd.enter().is_none(), "all have a request");
    }
}
