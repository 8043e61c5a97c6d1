//! `query` and `query_range`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use duramen_query::{Query, QueryOptions};

use super::answer::answer;
use super::failure::Failure;
use super::params::Params;
use super::tenant::Tenant;
use crate::wiring::System;

pub(super) async fn instant(
    State(system): State<Arc<System>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    let time_ms = params.time_ms("time")?.unwrap_or_else(|| system.clock.now_ms());
    let (limit, options) = (params.limit()?, options(&params)?);
    let query = parse(&params)?;
    let querier = Arc::clone(&system.querier);
    let work = async move { querier.instant(&tenant, &query, time_ms, options).await };
    let evaluated = system.query_runtime.run(work).await.map_err(|e| Failure::internal(e.to_string()))??;
    Ok(answer(evaluated, limit))
}

pub(super) async fn range(
    State(system): State<Arc<System>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    let (start_ms, end_ms) = (params.required_time_ms("start")?, params.required_time_ms("end")?);
    if end_ms < start_ms {
        return Err(Failure::parameter("end", "end timestamp must not be before start time"));
    }
    let step = params.duration_ms("step")?;
    let step_ms = step.ok_or_else(|| Failure::parameter("step", "cannot parse \"\" to a valid duration"))?;
    if step_ms <= 0 {
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(Failure::parameter("step", why));
    }
    let (limit, options) = (params.limit()?, options(&params)?);
    let query = parse(&params)?;
    let querier = Arc::clone(&system.querier);
    let work = async move { querier.range(&tenant, &query, (start_ms, end_ms, step_ms), options).await };
    let evaluated = system.query_runtime.run(work).await.map_err(|e| Failure::internal(e.to_string()))??;
    Ok(answer(evaluated, limit))
}

fn parse(params: &Params) -> Result<Query, Failure> {
    Query::parse(params.get("query").unwrap_or("")).map_err(|e| Failure::parameter("query", e))
}

fn options(params: &Params) -> Result<QueryOptions, Failure> {
    let lookback_ms = params.duration_ms("lookback_delta")?;
    if lookback_ms.is_some_and(|ms| ms <= 0) {
        return Err(Failure::parameter("lookback_delta", "a look-back is positive"));
    }
    Ok(QueryOptions { lookback_ms, timeout: params.timeout()? })
}
