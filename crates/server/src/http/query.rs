//! `query` and `query_range`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use duramen_model::TenantName;
use duramen_promql::{Answer, QueryTimes};
use duramen_query::{Answered, Query, QueryOptions};

use super::answer::answer;
use super::failure::Failure;
use super::go_time::parse_duration_ms;
use super::params::Params;
use super::stats::Detail;
use super::tenant::Tenant;
use crate::wiring::System;

// Parameters are read in the order of Prometheus, so that a request with two faults is told of the
// same one.

pub(super) async fn instant(
    State(system): State<Arc<System>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    let limit = params.limit()?;
    let time_ms = params
        .time_ms("time")?
        .unwrap_or_else(|| system.clock.now_ms());
    let options = options(&params)?;
    let query = asked(&params);

    answered(
        &system,
        &tenant,
        &params,
        limit,
        system.querier.instant(&tenant, &query, time_ms, options),
    )
    .await
}

pub(super) async fn range(
    State(system): State<Arc<System>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    let limit = params.limit()?;
    let times = range_times(&params)?;
    let options = options(&params)?;
    let query = asked(&params);

    answered(
        &system,
        &tenant,
        &params,
        limit,
        system.querier.range(&tenant, &query, times, options),
    )
    .await
}

/// Start, end and step of a range.
pub(super) fn range_times(params: &Params) -> Result<QueryTimes, Failure> {
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

/// Waits for a query, and renders what comes of it.
async fn answered(
    system: &Arc<System>,
    tenant: &TenantName,
    params: &Params,
    limit: Option<usize>,
    evaluation: impl Future<Output = Result<Answered<Answer>, duramen_query::Error>> + Send,
) -> Result<Response, Failure> {
    let (detail, deprecation) = Detail::of(params);
    let started = system.clock.monotonic();
    let (mut evaluated, turn) = evaluation.await?.into_parts();
    let took = system.clock.monotonic().saturating_sub(started);

    evaluated.warnings.extend(deprecation);

    let stats = detail.render(&evaluated.stats, took);
    answer(evaluated, limit, stats.as_ref()).respond(system, tenant, turn)
}

pub(super) fn asked(params: &Params) -> Query {
    Query::new(params.get("query").unwrap_or(""))
}

pub(super) fn options(params: &Params) -> Result<QueryOptions, Failure> {
    let timeout = params.timeout()?;
    let lookback_ms = params
        .given("lookback_delta")
        .map(parse_duration_ms)
        .transpose();

    let lookback_ms = lookback_ms
        .map_err(|e| Failure::bad_data(format!("error parsing lookback delta duration: {e}")))?;

    // 0 and below is that of the process, as in Prometheus.
    Ok(QueryOptions {
        lookback_ms: lookback_ms.filter(|ms| *ms > 0),
        timeout,
    })
}
