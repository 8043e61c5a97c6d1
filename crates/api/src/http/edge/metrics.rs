//! Counts and times of requests.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use duramen_metrics::{Counter, Family, Histogram, Registry, label_set};
use duramen_runtime::Clock;

use crate::http::edge::crowd::ConnectionMetrics;
use crate::http::remote_read::RemoteReadMetrics;

/// The metrics of the HTTP edge. The label `route` is the pattern of a route, so that requests
/// cannot create new series.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: Family<RequestLabel, Counter>,
    seconds: Family<RouteLabel, Histogram>,
    pub remote_read: RemoteReadMetrics,
    pub connections: ConnectionMetrics,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct RequestLabel {
    route: String,
    code: u16,
}

label_set!(RequestLabel: route, code);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct RouteLabel {
    route: String,
}

label_set!(RouteLabel: route);

impl Default for HttpMetrics {
    fn default() -> Self {
        let seconds = || {
            Histogram::new([
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
            ])
        };

        Self {
            requests: Family::default(),
            seconds: Family::new(seconds),
            remote_read: RemoteReadMetrics::default(),
            connections: ConnectionMetrics::default(),
        }
    }
}

impl HttpMetrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "duramen_http_requests",
            "Requests by route and status; 499 for one that its client gave up",
            self.requests.clone(),
        );

        registry.register(
            "duramen_http_request_seconds",
            "Time to the head of the answer",
            self.seconds.clone(),
        );

        self.remote_read.register(registry);
        self.connections.register(registry);
    }
}

/// The status under which a request is counted if its client gives up before the head of the answer
/// is ready.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Counts and times requests.
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: HttpMetrics,
}

/// Counts a request, and measures the time to the head of its answer.
pub(crate) async fn observe(
    State(observer): State<Arc<Observer>>,
    request: Request,
    next: Next,
) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str)
        .to_owned();

    let mut underway = Underway {
        route,
        started: observer.clock.monotonic(),
        code: CLIENT_CLOSED_REQUEST,
        observer,
    };

    let response = next.run(request).await;
    underway.code = response.status().as_u16();
    response
}

/// A request that is counted when this is dropped: with its answer, or without one if the
/// connection has gone.
struct Underway {
    observer: Arc<Observer>,
    route: String,
    /// The start, on the monotonic clock.
    started: Duration,
    code: u16,
}

impl Drop for Underway {
    fn drop(&mut self) {
        let took = self.observer.clock.monotonic().saturating_sub(self.started);
        let metrics = &self.observer.metrics;
        let route = std::mem::take(&mut self.route);

        metrics
            .seconds
            .get_or_create(&RouteLabel {
                route: route.clone(),
            })
            .observe(took.as_secs_f64());

        metrics
            .requests
            .get_or_create(&RequestLabel {
                route,
                code: self.code,
            })
            .inc();
    }
}
