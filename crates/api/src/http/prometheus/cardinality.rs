//! Counts of series and labels: in the shape of Prometheus, in the shape of Mimir, and of one
//! metric.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use duramen_model::{METRIC_NAME, TenantName, TimeRange};
use duramen_query::cardinality::{Cardinality, Churn, LabelCardinality, largest};
use duramen_query::{Answered, Summarized};
use duramen_source::SeriesSummary;
use serde_json::{Value as Json, json};

use crate::http::answer::envelope::success;
use crate::http::answer::failure::Failure;
use crate::http::answer::json::{labels_json, put_json};
use crate::http::answer::number::seconds;
use crate::http::answer::pieces::{Document, List};
use crate::http::request::form::Params;
use crate::http::request::tenant::Tenant;
use crate::http::roles::state::querier::QuerierState;

/// The range without `start`: as much as the head of a Prometheus holds.
const RECENT_MS: i64 = 3 * 3_600_000;
/// A series whose last sample is older has ended.
const LOOKBACK_MS: i64 = 300_000;
/// The samples of a full chunk of Prometheus. We have no chunks, so their number is estimated.
const CHUNK_SAMPLES: u64 = 120;

/// Answers `status/tsdb`, in the shape of Prometheus.
pub(crate) async fn tsdb_status(
    State(state): State<Arc<QuerierState>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    let limit = limit(&params, 10, 10_000)?;
    let times = Times::of(&params, &state)?;
    let found = summaries(&state, &tenant, Summarized::All, times, &params).await?;

    Ok(success(&tsdb_json(&found, limit), &[]))
}

fn tsdb_json(found: &[SeriesSummary], limit: usize) -> Json {
    let all = Cardinality::of(found);
    let (min_ms, max_ms) = all.span_ms.unwrap_or((i64::MAX, i64::MIN));
    let chunks: u64 = found
        .iter()
        .map(|series| (series.floats + series.histograms).div_ceil(CHUNK_SAMPLES))
        .sum();

    let by_name = |count: fn(&LabelCardinality<'_>) -> u64| {
        largest(
            all.labels
                .iter()
                .map(|(name, label)| ((*name).to_owned(), count(label))),
            limit,
        )
    };

    let pairs = all.labels.iter().flat_map(|(name, label)| {
        label
            .values()
            .map(move |(value, series)| (format!("{name}={value}"), series))
    });

    let stats = |counts: Vec<(String, u64)>| -> Json {
        counts
            .into_iter()
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect()
    };

    json!({
        "headStats": {
            "numSeries": all.series,
            "numLabelPairs": all.pairs(),
            "chunkCount": chunks,
            "minTime": min_ms,
            "maxTime": max_ms,
        },
        "seriesCountByMetricName": stats(largest(all.metrics().map(|(name, n)| (name.to_owned(), n)), limit)),
        "labelValueCountByLabelName": stats(by_name(|label| label.values.len() as u64)),
        "memoryInBytesByLabelName": stats(by_name(|label| label.bytes)),
        "seriesCountByLabelValuePair": stats(largest(pairs, limit)),
    })
}

/// Answers `status/metric`: the series, samples and labels of one metric.
pub(crate) async fn metric_status(
    State(state): State<Arc<QuerierState>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    let limit = limit(&params, 10, 10_000)?;
    let times = Times::of(&params, &state)?;
    let metric = params
        .given("metric")
        .ok_or_else(|| Failure::parameter("metric", "a metric is needed"))?
        .to_owned();

    // The range begins a look-back earlier, so that a series that was there at the start does not
    // count as new.
    let from = Times {
        start_ms: times.start_ms.saturating_sub(LOOKBACK_MS),
        ..times
    };

    let found = summaries(
        &state,
        &tenant,
        Summarized::Metric(metric.clone()),
        from,
        &params,
    )
    .await?;
    Ok(success(&metric_json(&metric, &found, times, limit), &[]))
}

fn metric_json(metric: &str, found: &[SeriesSummary], times: Times, limit: usize) -> Json {
    let all = Cardinality::of(found);
    let churn = Churn::of(found, (times.start_ms, times.end_ms), LOOKBACK_MS);
    let labels = all.labels.iter().filter(|(name, _)| **name != METRIC_NAME);
    let labels = largest(
        labels.map(|(name, label)| (*name, label.values.len() as u64)),
        limit,
    );

    let label = |(name, values): (&str, u64)| {
        let top = largest(all.labels[name].values(), limit).into_iter();
        let top: Vec<Json> = top
            .map(|(value, series)| json!({ "value": value, "seriesCount": series }))
            .collect();
        json!({ "name": name, "seriesCount": all.labels[name].series, "valueCount": values, "topValues": top })
    };

    json!({
        "metric": metric,
        "start": seconds(times.start_ms),
        "end": seconds(times.end_ms),
        "seriesCount": all.series,
        "seriesStarted": churn.started,
        "seriesEnded": churn.ended,
        "sampleCount": all.floats + all.histograms,
        "histogramCount": all.histograms,
        "labelCount": all.labels.len().saturating_sub(1),
        "labels": labels.into_iter().map(label).collect::<Json>(),
    })
}

/// Answers `cardinality/label_names`, in the shape of Mimir.
pub(crate) async fn label_names(
    State(state): State<Arc<QuerierState>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    let limit = limit(&params, 20, 500)?;
    let times = Times::of(&params, &state)?;
    let found = summaries(&state, &tenant, selector(&params), times, &params).await?;
    let all = Cardinality::of(&found);

    let names = largest(
        all.labels
            .iter()
            .map(|(name, label)| (*name, label.values.len() as u64)),
        limit,
    );

    let name =
        |(name, values): (&str, u64)| json!({ "label_name": name, "label_values_count": values });
    Ok(bare(&json!({
        "label_values_count_total": all.pairs(),
        "label_names_count": all.labels.len(),
        "cardinality": names.into_iter().map(name).collect::<Json>(),
    })))
}

/// Answers `cardinality/label_values`, in the shape of Mimir.
pub(crate) async fn label_values(
    State(state): State<Arc<QuerierState>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    let limit = limit(&params, 20, 500)?;
    let times = Times::of(&params, &state)?;
    let names: Vec<&str> = params.all("label_names[]").collect();

    if names.is_empty() {
        return Err(Failure::bad_data("'label_names[]' param is required"));
    }

    let found = summaries(&state, &tenant, selector(&params), times, &params).await?;
    let all = Cardinality::of(&found);
    let none = LabelCardinality::default();

    let label = |name: &&str| {
        let label = all.labels.get(name).unwrap_or(&none);
        let values = largest(label.values(), limit).into_iter();
        let values: Vec<Json> = values
            .map(|(value, series)| json!({ "label_value": value, "series_count": series }))
            .collect();

        json!({
            "label_name": name,
            "label_values_count": label.values.len(),
            "series_count": label.series,
            "cardinality": values,
        })
    };

    let labels: Vec<Json> = names.iter().map(label).collect();
    Ok(bare(
        &json!({ "series_count_total": all.series, "labels": labels }),
    ))
}

/// Answers `cardinality/active_series`, in the shape of Mimir.
pub(crate) async fn active_series(
    State(state): State<Arc<QuerierState>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    let times = Times::of(&params, &state)?;
    let Summarized::Selector(selector) = selector(&params) else {
        return Err(Failure::bad_data("missing parameter 'selector'"));
    };

    let (found, turn) = summaries(
        &state,
        &tenant,
        Summarized::Selector(selector),
        times,
        &params,
    )
    .await?
    .into_parts();

    let series = List::new(
        found,
        size_of::<SeriesSummary>(),
        |out, series: &SeriesSummary| {
            put_json(out, &labels_json(&series.labels));
        },
    );

    let bare = Document {
        opening: br#"{"data":["#.to_vec(),
        elements: series,
        closing: b"]}".to_vec(),
    };

    bare.respond(state.recipient(&tenant), turn)
}

/// Returns an answer without the envelope of the API.
fn bare(data: &Json) -> Response {
    (
        [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )],
        data.to_string(),
    )
        .into_response()
}

async fn summaries(
    state: &QuerierState,
    tenant: &TenantName,
    of: Summarized,
    times: Times,
    params: &Params,
) -> Result<Answered<Vec<SeriesSummary>>, Failure> {
    let range = times.range()?;
    let as_of = params.as_of()?;
    let found = state.querier.summaries(tenant, of, range, as_of).await;
    found.map_err(|error| Failure::of_selectors("selector", error))
}

/// Returns the selector of the series to count. Without one, all series count.
fn selector(params: &Params) -> Summarized {
    params.given("selector").map_or(Summarized::All, |text| {
        Summarized::Selector(text.to_owned())
    })
}

fn limit(params: &Params, default: usize, max: usize) -> Result<usize, Failure> {
    let Some(text) = params.given("limit") else {
        return Ok(default);
    };
    let limit = text.parse().ok().filter(|limit: &usize| *limit > 0);
    let limit = limit.ok_or_else(|| Failure::bad_data("limit must be a positive number"))?;

    if limit > max {
        return Err(Failure::bad_data(format!("limit must not exceed {max}")));
    }

    Ok(limit)
}

/// The range whose series are counted, both ends inclusive.
#[derive(Clone, Copy)]
struct Times {
    start_ms: i64,
    end_ms: i64,
}

impl Times {
    fn of(params: &Params, state: &QuerierState) -> Result<Self, Failure> {
        let end_ms = params
            .time_ms("end")?
            .unwrap_or_else(|| state.clock.now_ms());
        let start_ms = params
            .time_ms("start")?
            .unwrap_or_else(|| end_ms.saturating_sub(RECENT_MS));
        Ok(Self { start_ms, end_ms })
    }

    fn range(self) -> Result<TimeRange, Failure> {
        let backwards = || Failure::bad_data("end timestamp must not be before start timestamp");
        TimeRange::closed(self.start_ms, self.end_ms).ok_or_else(backwards)
    }
}
