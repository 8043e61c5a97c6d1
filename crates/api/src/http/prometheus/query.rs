//! The routes `query` and `query_range`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use duramen_model::TenantName;
use duramen_promql::{Answer, QueryTimes};
use duramen_query::{Answered, Partial, Query, QueryOptions};

use crate::http::answer::envelope::answer;
use crate::http::answer::failure::Failure;
use crate::http::prometheus::stats::Detail;
use crate::http::request::form::Params;
use crate::http::request::go_time::parse_duration_ms;
use crate::http::request::tenant::Tenant;
use crate::http::roles::state::querier::QuerierState;

// Parameters are read in the order of Prometheus, so that a request with two faults gets the same
// error.

pub(crate) async fn instant(
    State(state): State<Arc<QuerierState>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    let limit = params.limit()?;
    let time_ms = params
        .time_ms("time")?
        .unwrap_or_else(|| state.clock.now_ms());
    let options = options(&params)?;
    let query = asked(&params);

    answered(
        &state,
        &tenant,
        &params,
        limit,
        state.querier.instant(&tenant, &query, time_ms, options),
    )
    .await
}

pub(crate) async fn range(
    State(state): State<Arc<QuerierState>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    let limit = params.limit()?;
    let times = range_times(&params)?;
    let options = options(&params)?;
    let query = asked(&params);

    answered(
        &state,
        &tenant,
        &params,
        limit,
        state.querier.range(&tenant, &query, times, options),
    )
    .await
}

/// Returns the start, end and step of a range.
pub(crate) fn range_times(params: &Params) -> Result<QueryTimes, Failure> {
    let start_ms = params.required_time_ms("start")?;
    let end_ms = params.required_time_ms("end")?;

    if end_ms < start_ms {
        return Err(Failure::parameter(
            "end",
            "end timestamp must not be before start time",
        ));
    }

    let step = params.duration_ms("step")?;
    let step_ms =
        step.ok_or_else(|| Failure::parameter("step", "cannot parse \"\" to a valid duration"))?;

    if step_ms <= 0 {
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(Failure::parameter("step", why));
    }

    QueryTimes::range(start_ms, end_ms, step_ms)
        .map_err(|e| Failure::from(duramen_query::Error::from(e)))
}

/// Evaluates a query and writes its answer.
async fn answered(
    state: &Arc<QuerierState>,
    tenant: &TenantName,
    params: &Params,
    limit: Option<usize>,
    evaluation: impl Future<Output = Result<Answered<Partial<Answer>>, duramen_query::Error>> + Send,
) -> Result<Response, Failure> {
    let (detail, deprecation) = Detail::of(params);
    let started = state.clock.monotonic();
    let (partial, turn) = evaluation.await?.into_parts();
    let took = state.clock.monotonic().saturating_sub(started);

    let Partial {
        value: mut evaluated,
        left_out,
    } = partial;
    evaluated.warnings.extend(deprecation);

    let stats = detail.render(&evaluated.stats, took);
    answer(evaluated, &left_out, limit, stats.as_ref()).respond(state.recipient(tenant), turn)
}

pub(crate) fn asked(params: &Params) -> Query {
    Query::new(params.get("query").unwrap_or(""))
}

pub(crate) fn options(params: &Params) -> Result<QueryOptions, Failure> {
    let timeout = params.timeout()?;
    let partial_response = params.partial_response()?;
    let as_of = params.as_of()?;
    let lookback_ms = params
        .given("lookback_delta")
        .map(parse_duration_ms)
        .transpose();

    let lookback_ms = lookback_ms
        .map_err(|e| Failure::bad_data(format!("error parsing lookback delta duration: {e}")))?;

    // A value of 0 or below stands for the setting of the process, as in Prometheus.
    Ok(QueryOptions {
        lookback_ms: lookback_ms.filter(|ms| *ms > 0),
        first_reads: Detail::of(params).0 == Detail::Steps,
        timeout,
        partial_response,
        as_of,
    })
}
