//! Federation: the newest sample of each series, for a Prometheus that scrapes them.

mod exposition;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use duramen_model::{Histogram, Labels, Life, Matcher, TimeRange, is_stale};
use duramen_query::{Error, Reader, Selection};
use duramen_source::{Columns, SeriesBatch};
use futures::StreamExt;

use crate::http::answer::pieces::{held, within};
use crate::http::answer::text_failure::TextFailure;
use crate::http::request::form::Params;
use crate::http::request::tenant::Tenant;
use crate::http::roles::state::querier::QuerierState;
use exposition::{Exposed, ExposedValue, Format, families, text};

/// Answers with the newest samples of the series that any selector in `match[]` matches. There are
/// none without a selector, and none for a selector without matchers.
pub(crate) async fn federate(
    State(state): State<Arc<QuerierState>>,
    Tenant(tenant): Tenant,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, TextFailure> {
    let selectors: Vec<String> = params.all("match[]").map(str::to_owned).collect();
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");

    let format = Format::accepted(accept);
    let moment = Moment {
        now_ms: state.clock.now_ms(),
        lookback_ms: state.lookback_ms,
    };

    let max = state.limits.of(&tenant).query.answer_bytes_max;
    let work = |reader: Reader| async move {
        let selectors = reader.selectors(&selectors).await?;
        let samples = newest(&reader, selectors, moment).await?;
        let body = match format {
            Format::Text(escaping) => text(&samples, escaping).into_bytes(),
            Format::Protobuf(escaping) => families(&samples, escaping),
        };

        within(body.len(), max)?;
        Ok(body)
    };

    let (body, turn) = state.querier.read(&tenant, None, work).await?.into_parts();
    Ok((
        [(header::CONTENT_TYPE, format.content_type())],
        held(body, turn),
    )
        .into_response())
}

/// The time of the request, and how long a sample stays valid if it does not say so itself.
#[derive(Clone, Copy, Debug)]
struct Moment {
    now_ms: i64,
    lookback_ms: i64,
}

/// Returns the newest sample of each series once, sorted by metric name and then by the other
/// labels.
async fn newest(
    reader: &Reader,
    selectors: Vec<Vec<Matcher>>,
    moment: Moment,
) -> Result<Vec<Exposed>, Error> {
    let back_ms = moment.lookback_ms.max(reader.ttl_max_ms().await?);
    let mut found = Vec::new();
    let mut bytes = 0;
    let mut held = reader.reservation();

    for matchers in selectors
        .into_iter()
        .filter(|matchers| !matchers.is_empty())
    {
        let Some(range) = TimeRange::closed(moment.now_ms.saturating_sub(back_ms), moment.now_ms)
        else {
            continue;
        };

        let mut batches = reader
            .select(&Selection {
                matchers,
                range,
                columns: Columns::Samples,
            })
            .await?;

        while let Some(batch) = batches.next().await {
            let batch = batch?;

            for row in 0..batch.len() {
                let Some(exposed) = newest_of(&batch, row, moment)? else {
                    continue;
                };
                bytes +=
                    size_of::<Exposed>() + exposed.labels.encoded().len() + exposed.value.bytes();
                found.push(exposed);
            }

            held.grow_to(bytes)?;

            // Batches that are in memory are ready at once. Yielding lets the time-out and other
            // tasks run.
            tokio::task::yield_now().await;
        }
    }

    found.sort_by(|a, b| a.labels.cmp_in_block(&b.labels));
    found.dedup_by(|a, b| a.labels == b.labels);
    Ok(found)
}

/// Returns the current sample of a series, or `None` if it has ended or has no metric name.
fn newest_of(batch: &SeriesBatch, row: usize, moment: Moment) -> Result<Option<Exposed>, Error> {
    let labels = Labels::from_encoded_trusted(batch.labels_at(row));
    if labels.metric_name().is_empty() {
        return Ok(None);
    }

    let histogram = batch
        .histograms_at(row)
        .take_while(|held| held.ts_ms <= moment.now_ms)
        .last();

    let (ts, values) = batch.samples_at(row);
    let float = ts
        .partition_point(|ts_ms| *ts_ms <= moment.now_ms)
        .checked_sub(1);

    // A series has either a float or a histogram at one time.
    let (ts_ms, ttl_ms, stored) = match (histogram, float) {
        (Some(held), at) if at.is_none_or(|at| ts[at] < held.ts_ms) => {
            (held.ts_ms, held.life.ttl_ms, Stored::Histogram(held.bytes))
        }
        (_, Some(at)) => {
            let ttl_ms = batch.ttls_at(row).map_or(0, |ttls| ttls[at]);
            (ts[at], ttl_ms, Stored::Float(values[at]))
        }
        (_, None) => return Ok(None),
    };

    let life = Life {
        start_ms: 0,
        ttl_ms,
    };

    if !life.stands(ts_ms, moment.now_ms, moment.lookback_ms) {
        return Ok(None);
    }

    let value = match stored {
        Stored::Float(value) if is_stale(value) => return Ok(None),
        Stored::Float(value) => ExposedValue::Float(value),
        Stored::Histogram(bytes) => {
            let unreadable = || Error::Histogram {
                series: format!("{labels:?}"),
                ts_ms,
            };

            let histogram = Histogram::from_bytes(bytes).ok_or_else(unreadable)?;
            if histogram.is_stale() {
                return Ok(None);
            }

            ExposedValue::Histogram(Box::new(histogram))
        }
    };

    Ok(Some(Exposed {
        labels,
        ts_ms,
        value,
    }))
}

/// A value in the form of a batch.
enum Stored<'a> {
    Float(f64),
    Histogram(&'a [u8]),
}

#[cfg(test)]
mod tests {
    use duramen_model::{Counts, ResetHint, STALE_NAN};
    use duramen_source::{HistogramRef, SeriesBatchBuilder};

    use super::*;

    const AT_100: Moment = Moment {
        now_ms: 100,
        lookback_ms: 10,
    };

    /// A histogram without buckets.
    fn histogram(sum: f64) -> Histogram {
        let counts = Counts::Integer {
            count: 0,
            zero_count: 0,
            positive: vec![],
            negative: vec![],
        };

        Histogram {
            schema: 0,
            hint: ResetHint::Unknown,
            sum,
            zero_threshold: 0.0,
            counts,
            positive_spans: vec![],
            negative_spans: vec![],
            custom_values: vec![],
        }
    }

    /// Returns the time and value of the newest sample of a series, and -1 for a histogram. The
    /// series has these floats with their lives, and histograms by time and sum.
    fn of(floats: &[(i64, f64, i64)], histograms: &[(i64, f64)]) -> Option<(i64, f64)> {
        let mut builder = SeriesBatchBuilder::default();

        for (ts_ms, value, ttl_ms) in floats {
            builder.push_sample(
                *ts_ms,
                *value,
                Life {
                    start_ms: 0,
                    ttl_ms: *ttl_ms,
                },
            );
        }

        for (ts_ms, sum) in histograms {
            let bytes = &histogram(*sum).to_bytes();
            builder.push_histogram(HistogramRef {
                ts_ms: *ts_ms,
                life: Life::NONE,
                bytes,
            });
        }

        builder.end_series(Labels::from_pairs([("__name__", "a")]).unwrap().encoded());

        let newest = newest_of(&builder.finish(), 0, AT_100).unwrap()?;
        Some((
            newest.ts_ms,
            if let ExposedValue::Float(value) = newest.value {
                value
            } else {
                -1.0
            },
        ))
    }

    #[test]
    fn the_newest_sample_within_the_look_back_stands() {
        assert_eq!(
            of(&[(91, 1.0, 0), (95, 2.0, 0), (101, 3.0, 0)], &[]),
            Some((95, 2.0))
        );

        assert_eq!(of(&[(91, 1.0, 0)], &[]), Some((91, 1.0)));
        assert_eq!(of(&[(90, 1.0, 0)], &[]), None);
        assert_eq!(of(&[(101, 1.0, 0)], &[]), None);
    }

    #[test]
    fn a_sample_that_says_how_long_it_stands_does_so() {
        assert_eq!(of(&[(50, 1.0, 51)], &[]), Some((50, 1.0)));
        assert_eq!(of(&[(50, 1.0, 50)], &[]), None);
        assert_eq!(of(&[(95, 1.0, 5)], &[]), None);
    }

    #[test]
    fn a_series_that_ended_is_left_out_and_one_may_become_a_histogram() {
        assert_eq!(of(&[(95, 1.0, 0), (96, STALE_NAN, 0)], &[]), None);
        assert_eq!(of(&[(95, 1.0, 0)], &[(96, STALE_NAN)]), None);
        assert_eq!(of(&[(95, 1.0, 0)], &[(96, 1.0)]), Some((96, -1.0)));
        assert_eq!(of(&[(95, 1.0, 0)], &[(94, 1.0)]), Some((95, 1.0)));
        assert_eq!(of(&[], &[(90, 1.0)]), None);
        assert_eq!(of(&[], &[(96, 1.0), (101, 1.0)]), Some((96, -1.0)));
    }
}
