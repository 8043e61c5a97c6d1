//! The routes `query` and `query_range`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use duramen_model::TenantName;
use duramen_promql::{Answer, QueryTimes};
use duramen_query::{Answered, Partial, Query, QueryOptions, ResolutionMax};
use duramen_settings::duration;

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

/// Names the resolutions of the rollups that an answer was made from.
const RESOLUTION: HeaderName = HeaderName::from_static("x-duramen-resolution");

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
    let resolutions_ms = evaluated.resolutions_ms.clone();
    let answer = answer(evaluated, &left_out, limit, stats.as_ref());
    let response = answer.respond(state.recipient(tenant), turn)?;

    Ok(with_resolutions(response, &resolutions_ms))
}

pub(crate) fn asked(params: &Params) -> Query {
    Query::new(params.get("query").unwrap_or(""))
}

/// Returns which rollups a request allows; `None` if it does not say.
fn resolution(params: &Params) -> Result<Option<ResolutionMax>, Failure> {
    let Some(text) = params.given("max_source_resolution") else {
        return Ok(None);
    };

    if text == "auto" {
        return Ok(Some(ResolutionMax::Any));
    }

    let why = |e| {
        let text = format!("{e}; it takes a duration or `auto`");
        Failure::parameter("max_source_resolution", text)
    };
    let ms = parse_duration_ms(text).map_err(why)?;
    Ok(Some(ResolutionMax::Ms(ms.max(0))))
}

/// Adds a header that names the rollups which an answer was made from, if there are some.
fn with_resolutions(mut response: Response, resolutions_ms: &[i64]) -> Response {
    let text = |ms: &i64| duration::print(Duration::from_millis(ms.unsigned_abs()));
    let texts: Vec<String> = resolutions_ms.iter().map(text).collect();

    if let Ok(value) = HeaderValue::try_from(texts.join(", "))
        && !texts.is_empty()
    {
        response.headers_mut().insert(RESOLUTION, value);
    }

    response
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
        resolution: resolution(params)?,
    })
}
