//! What a process says of itself.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

use super::answer::success;
use crate::wiring::System;

/// The Prometheus whose API this is: clients choose their calls by it.
const PROMETHEUS_VERSION: &str = "3.14.0";

pub(super) async fn index() -> &'static str {
    concat!(
        "Duramen ",
        env!("CARGO_PKG_VERSION"),
        "\n\nThe Prometheus API is under /api/v1, metrics are at /metrics.\n"
    )
}

pub(super) async fn healthy() -> &'static str {
    "Duramen is healthy.\n"
}

/// Requests are answered only once the log is replayed and the store probed, so whoever gets here is ready.
pub(super) async fn ready() -> &'static str {
    "Duramen is ready.\n"
}

pub(super) async fn buildinfo() -> Response {
    success(&build(), &[])
}

pub(super) async fn version() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], build().to_string()).into_response()
}

/// Texts only, and no `features`: by a feature Grafana takes a store for a Mimir with a ruler.
fn build() -> Json {
    json!({
        "application": "Duramen",
        "version": PROMETHEUS_VERSION,
        "revision": concat!("duramen-", env!("CARGO_PKG_VERSION")),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    })
}

pub(super) async fn metrics(State(system): State<Arc<System>>) -> Response {
    let open_metrics = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(header::CONTENT_TYPE, open_metrics)], system.metrics_text()).into_response()
}
