//! Health, version and status of the process.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

use crate::http::answer::envelope::success;
use crate::http::edge::link::Vital;
use crate::http::request::viewer::Viewer;
use crate::http::roles::state::process::ProcessState;

/// The version of Prometheus whose API this is. Clients choose their calls by it.
const PROMETHEUS_VERSION: &str = "3.14.0";

pub(crate) async fn index() -> &'static str {
    concat!(
        "Duramen ",
        env!("CARGO_PKG_VERSION"),
        "\n\nThe Prometheus API is under /api/v1, metrics are at /metrics.\n"
    )
}

pub(crate) async fn healthy() -> &'static str {
    "Duramen is healthy.\n"
}

/// Requests come here only after the log is replayed and the store is probed: see
/// [`crate::http::edge::starting`].
pub(crate) async fn ready() -> &'static str {
    "Duramen is ready.\n"
}

pub(crate) async fn buildinfo() -> Response {
    success(&build(), &[])
}

pub(crate) async fn version() -> Response {
    (
        [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )],
        build().to_string(),
    )
        .into_response()
}

/// Returns the build info. All values are texts, and there is no `features`: by those, Grafana
/// would take this for a Mimir with a ruler.
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

/// Answers with the runtime info of Prometheus, as far as it makes sense here. The log was replayed
/// and the settings were read at the start.
pub(crate) async fn runtime_info(State(state): State<Arc<ProcessState>>) -> Response {
    let started = rfc3339(state.started_ms);
    let directory = std::env::current_dir()
        .map(|path| path.display().to_string())
        .unwrap_or_default();
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();

    let data = json!({
        "startTime": started,
        "CWD": directory,
        "hostname": hostname.trim(),
        "serverTime": rfc3339(state.clock.now_ms()),
        "reloadConfigSuccess": true,
        "lastConfigTime": started,
        "corruptionCount": state.lost_records,
        "goroutineCount": tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "GOMEMLIMIT": i64::MAX,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": "",
    });

    success(&data, &[])
}

fn rfc3339(ms: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default();
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Requests come here only after the replay, so the replay is always done.
pub(crate) async fn wal_replay() -> Response {
    success(&json!({ "min": 0, "max": 0, "current": 0 }), &[])
}

/// Answers with the features that a client may use, by area.
pub(crate) async fn features(State(state): State<Arc<ProcessState>>) -> Response {
    let switched = state.features;
    let all = |names: &[&str]| {
        names
            .iter()
            .map(|name| ((*name).to_owned(), Json::Bool(true)))
            .collect::<Json>()
    };

    let functions: Vec<&str> = duramen_syntax::functions::all()
        .iter()
        .map(|function| function.name)
        .collect();

    let mut data = json!({
        "api": all(&["label_values_match", "openapi_3.1", "query_stats", "query_warnings", "remote_write_receiver", "time_range_labels", "time_range_series"]),
        "promql": all(&[
            "anchored", "at_modifier", "bool", "by", "duration_expr", "fill", "group_left", "group_right", "ignoring", "negative_offset",
            "offset", "on", "per_query_lookback", "per_step_stats", "smoothed", "subqueries", "without",
        ]),
        "promql_functions": all(&functions),
    });

    data["promql"]["delayed_name_removal"] = switched.delayed_name_removal.into();
    data["promql"]["type_and_unit_labels"] = switched.type_and_unit_labels.into();
    data["promql"]["use_start_timestamps"] = switched.start_timestamps.into();

    success(&data, &[])
}

pub(crate) async fn metrics(State(state): State<Arc<ProcessState>>, viewer: Viewer) -> Response {
    let open_metrics =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    let families = viewer.visible(state.metrics.families(), &state.register);

    (
        Extension(Vital),
        [(header::CONTENT_TYPE, open_metrics)],
        duramen_metrics::text(&families),
    )
        .into_response()
}
