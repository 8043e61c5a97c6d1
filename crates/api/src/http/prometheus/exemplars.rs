//! The route `query_exemplars`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use duramen_model::Exemplar;
use duramen_source::SeriesExemplars;
use serde_json::{Value as Json, json};

use crate::http::answer::envelope::list;
use crate::http::answer::failure::Failure;
use crate::http::answer::json::{labels_json, put_json};
use crate::http::answer::number::{put_value, seconds};
use crate::http::answer::pieces::List;
use crate::http::prometheus::query::asked;
use crate::http::request::form::Params;
use crate::http::request::tenant::Tenant;
use crate::http::roles::state::querier::QuerierState;

/// The approximate memory of an exemplar with its labels.
const EXEMPLAR_BYTES: usize = 128;

/// Answers with the exemplars of all series that any selector in the query selects; the rest of the
/// query is ignored. A query without a selector is answered with 204, as Prometheus does.
pub(crate) async fn query(
    State(state): State<Arc<QuerierState>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    let backwards = || Failure::bad_data("end timestamp must not be before start timestamp");
    let range = params.range()?.ok_or_else(backwards)?;

    let (found, turn) = state
        .querier
        .exemplars(&tenant, &asked(&params), range, params.as_of()?)
        .await?
        .into_parts();

    let Some(found) = found else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let exemplars: usize = found.iter().map(|series| series.exemplars.len()).sum();
    let bytes = size_of::<SeriesExemplars>()
        + (exemplars * EXEMPLAR_BYTES)
            .checked_div(found.len())
            .unwrap_or(0);

    let found = List::new(found, bytes, |out, series| {
        put_json(out, &series_json(series))
    });
    list(found, &[], &[]).respond(state.recipient(&tenant), turn)
}

fn series_json(series: &SeriesExemplars) -> Json {
    let exemplars: Vec<Json> = series.exemplars.iter().map(exemplar_json).collect();
    json!({ "seriesLabels": labels_json(&series.labels), "exemplars": exemplars })
}

fn exemplar_json(exemplar: &Exemplar) -> Json {
    let mut value = Vec::new();
    put_value(&mut value, exemplar.value);

    let value = String::from_utf8_lossy(&value);
    json!({ "labels": labels_json(&exemplar.labels), "value": value, "timestamp": seconds(exemplar.ts_ms) })
}
