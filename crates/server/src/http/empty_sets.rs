//! What a Prometheus says of its scraping, rules and alerts. This is a store: it has none, and says so in the same shape.

use axum::response::Response;
use duramen_query::Querier;
use serde_json::json;

use super::answer::success;
use super::failure::Failure;
use super::params::Params;

pub(super) async fn rules(params: Params) -> Result<Response, Failure> {
    match params.get("type").unwrap_or("") {
        "" | "alert" | "record" => {}
        other => return Err(Failure::parameter("type", format!("not supported value {other:?}"))),
    }
    for selector in params.all("match[]") {
        Querier::parse_selector(selector).map_err(|e| Failure::parameter("match[]", e))?;
    }
    Ok(success(&json!({ "groups": [] }), &[]))
}

pub(super) async fn alerts() -> Response {
    success(&json!({ "alerts": [] }), &[])
}

pub(super) async fn targets(params: Params) -> Response {
    let wants_dropped = !params.get("state").is_some_and(|state| state.eq_ignore_ascii_case("active"));
    let counts = wants_dropped.then(|| json!({}));
    success(&json!({ "activeTargets": [], "droppedTargets": [], "droppedTargetCounts": counts }), &[])
}

pub(super) async fn target_metadata(params: Params) -> Result<Response, Failure> {
    if let Some(selector) = params.given("match_target") {
        duramen_syntax::parse_selector(selector).map_err(|e| Failure::parameter("match_target", e))?;
    }
    params.integer("limit")?;
    Ok(success(&json!([]), &[]))
}

pub(super) async fn scrape_pools() -> Response {
    success(&json!({ "scrapePools": [] }), &[])
}

pub(super) async fn alertmanagers() -> Response {
    success(&json!({ "activeAlertmanagers": [], "droppedAlertmanagers": [] }), &[])
}

pub(super) async fn notifications() -> Response {
    success(&json!([]), &[])
}
