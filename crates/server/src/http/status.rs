//! What a process says of itself.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

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
    let version = concat!("duramen-", env!("CARGO_PKG_VERSION"));
    let data = json!({
        "application": "Duramen",
        "version": PROMETHEUS_VERSION,
        "revision": version,
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    });
    success(&data, &[])
}

pub(super) async fn metrics(State(system): State<Arc<System>>) -> Response {
    let open_metrics = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(header::CONTENT_TYPE, open_metrics)], system.metrics_text()).into_response()
}
