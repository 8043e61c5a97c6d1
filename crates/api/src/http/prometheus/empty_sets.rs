//! What a Prometheus tells of its scraping, rules and alerts. Duramen has none of these, and
//! answers with empty sets in the same shape.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use duramen_model::quoted::quote;
use serde_json::json;

use crate::http::answer::envelope::success;
use crate::http::answer::failure::Failure;
use crate::http::request::form::Params;
use crate::http::roles::state::querier::QuerierState;

pub(crate) async fn rules(
    State(state): State<Arc<QuerierState>>,
    params: Params,
) -> Result<Response, Failure> {
    match params.get("type").unwrap_or("") {
        "" | "alert" | "record" => {}
        other => {
            return Err(Failure::parameter(
                "type",
                format!("not supported value {}", quote(other)),
            ));
        }
    }

    let selectors = params.all("match[]").map(str::to_owned).collect();
    let checked = state.querier.check_selectors(selectors).await;
    checked.map_err(|error| Failure::of_selectors("match[]", error))?;

    Ok(success(&json!({ "groups": [] }), &[]))
}

pub(crate) async fn alerts() -> Response {
    success(&json!({ "alerts": [] }), &[])
}

pub(crate) async fn targets(params: Params) -> Response {
    let wants_dropped = !params
        .get("state")
        .is_some_and(|state| state.eq_ignore_ascii_case("active"));
    let counts = wants_dropped.then(|| json!({}));
    success(
        &json!({ "activeTargets": [], "droppedTargets": [], "droppedTargetCounts": counts }),
        &[],
    )
}

pub(crate) async fn target_metadata(
    State(state): State<Arc<QuerierState>>,
    params: Params,
) -> Result<Response, Failure> {
    if let Some(selector) = params.given("match_target") {
        let checked = state.querier.check_open_selector(selector.to_owned()).await;

        checked.map_err(|error| Failure::of_selectors("match_target", error))?;
    }

    params.integer("limit")?;
    Ok(success(&json!([]), &[]))
}

pub(crate) async fn scrape_pools() -> Response {
    success(&json!({ "scrapePools": [] }), &[])
}

pub(crate) async fn scrape_pool_config(params: Params) -> Failure {
    no_scrape_pool(&params).unwrap_or_else(|fault| fault)
}

/// Reports faults in the order of Prometheus: first a missing parameter, last that the pool does
/// not exist.
pub(crate) async fn relabel_steps(params: Params) -> Failure {
    let absent = match no_scrape_pool(&params) {
        Ok(absent) => absent,
        Err(fault) => return fault,
    };

    let Some(labels) = params.given("labels") else {
        return Failure::bad_data("no labels parameter provided");
    };
    match serde_json::from_str::<BTreeMap<String, String>>(labels) {
        Ok(_) => absent,
        Err(error) => Failure::bad_data(format!("error parsing labels: {error}")),
    }
}

/// Returns the error that the pool does not exist, or the fault of a request that names none.
fn no_scrape_pool(params: &Params) -> Result<Failure, Failure> {
    let pool = params
        .given("scrapePool")
        .ok_or_else(|| Failure::bad_data("no scrapePool parameter provided"))?;
    Ok(Failure::bad_data(format!(
        "error getting scrape config: scrape pool {} not found",
        quote(pool)
    )))
}

pub(crate) async fn alertmanagers() -> Response {
    success(
        &json!({ "activeAlertmanagers": [], "droppedAlertmanagers": [] }),
        &[],
    )
}

pub(crate) async fn notifications() -> Response {
    success(&json!([]), &[])
}

/// There are never notices, so a stream of them would only hold a connection. 204 tells the
/// `EventSource` of a page not to come again.
pub(crate) async fn live_notifications() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// In Prometheus these routes are behind a switch that is off.
pub(crate) async fn search() -> Failure {
    Failure::not_found(
        "search API disabled: names are at /api/v1/labels, values at /api/v1/label/{name}/values",
    )
}
