//! The answer as one message of samples.

use std::ops::Range;
use std::sync::Arc;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use duramen_limits::QueryLimits;
use duramen_model::labels::LabelsIter;
use duramen_model::{AsOf, TenantName, TimeRange};
use duramen_proto::remote_read::{ReadResponseEncoder, ResponseType, TimeSeriesEncoder};
use duramen_proto::snappy;
use duramen_qos::Reservation;
use duramen_query::{Error, Reader, Selection};
use duramen_source::{Columns, SeriesBatch};
use futures::StreamExt;

use super::batch::Series;
use crate::http::answer::pieces::{held, within};
use crate::http::answer::text_failure::TextFailure;
use crate::http::roles::state::querier::QuerierState;

/// The most bytes of a message: clients cannot read larger protocol buffers.
const MESSAGE_BYTES_MAX: usize = 1 << 31;

/// The number of copies of a result that are in memory while the message is made.
const COPIES: usize = 2;

/// Reads all queries in their order, and answers with one message.
pub(super) async fn answer(
    state: &Arc<QuerierState>,
    tenant: TenantName,
    as_of: Option<AsOf>,
    selections: Vec<Option<Selection>>,
) -> Result<Response, TextFailure> {
    let counter = state.remote_read.samples(ResponseType::Samples);

    let work = |reader| async move {
        let (message, samples, _held) = encode(&reader, &selections).await?;
        counter.inc_by(samples as u64);
        Ok(snappy::compress(&message))
    };

    let (body, turn) = state.querier.read(&tenant, as_of, work).await?.into_parts();
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-protobuf"),
        ),
        (header::CONTENT_ENCODING, HeaderValue::from_static("snappy")),
    ];

    Ok((headers, held(body, turn)).into_response())
}

/// The limits of an answer, and what it has used of them.
#[derive(Debug)]
struct Budget {
    samples: usize,
    samples_max: usize,
    /// The bytes of the results that are complete.
    bytes: usize,
    /// What is reserved in the budget of the request.
    held: Reservation,
    answer_bytes_max: usize,
}

impl Budget {
    fn new(limits: &QueryLimits, held: Reservation) -> Self {
        let samples_max = limits.remote_read_samples_max;
        let answer_bytes_max = limits.answer_bytes_max;

        Self {
            samples: 0,
            samples_max,
            bytes: 0,
            held,
            answer_bytes_max,
        }
    }

    fn check(&mut self, result: &QueryResult) -> Result<(), Error> {
        if self.samples > self.samples_max {
            return Err(Error::TooManyReadSamples {
                max: self.samples_max,
            });
        }

        within(self.bytes + result.messages.len(), self.answer_bytes_max)?;
        if self.bytes + result.bytes() > MESSAGE_BYTES_MAX {
            return Err(Error::AnswerTooLarge {
                max: MESSAGE_BYTES_MAX,
            });
        }

        // A result is in memory twice: once as it was read, and once in the message.
        let bytes = COPIES * (self.bytes + result.bytes());
        self.held.grow_to(bytes)?;
        Ok(())
    }
}

/// Returns the message, the number of its samples, and its memory.
async fn encode(
    reader: &Reader,
    selections: &[Option<Selection>],
) -> Result<(Vec<u8>, usize, Reservation), Error> {
    let mut budget = Budget::new(reader.limits(), reader.reservation());
    let mut response = ReadResponseEncoder::default();

    for selection in selections {
        let result = match selection {
            Some(selection) => collect(reader, selection, &mut budget).await?,
            None => QueryResult::default(),
        };

        budget.bytes += result.bytes();
        response.push_result(
            result
                .in_order()
                .iter()
                .map(|series| &result.messages[series.message.clone()]),
        );
    }

    Ok((response.finish(), budget.samples, budget.held))
}

/// The series of one query as messages, one after the other, in the order in which they were read.
#[derive(Debug, Default)]
struct QueryResult {
    messages: Vec<u8>,
    labels: Vec<u8>,
    series: Vec<Place>,
}

/// The positions of a series's message and labels.
#[derive(Clone, Debug)]
struct Place {
    message: Range<usize>,
    labels: Range<usize>,
}

impl QueryResult {
    /// Returns the memory that the result takes.
    const fn bytes(&self) -> usize {
        self.messages.len() + self.labels.len() + self.series.len() * size_of::<Place>()
    }

    /// Returns the series sorted by their labels.
    fn in_order(&self) -> Vec<Place> {
        let mut series = self.series.clone();
        let labels = |place: &Place| LabelsIter::over(&self.labels[place.labels.clone()]);
        series.sort_by(|a, b| labels(a).cmp(labels(b)));

        series
    }

    /// Adds the series of a batch that have samples in the range, or all series if only labels are
    /// asked for. Returns the number of their samples.
    fn push(
        &mut self,
        batch: &SeriesBatch,
        range: TimeRange,
        columns: Columns,
    ) -> Result<usize, Error> {
        let mut samples = 0;

        for series in Series::all(batch, range) {
            let message = self.messages.len();
            let mut encoder = TimeSeriesEncoder::begin(&mut self.messages, series.labels());
            let before = samples;

            for (ts_ms, value) in series.floats() {
                encoder.push_float(ts_ms, value);
                samples += 1;
            }

            for held in series.histograms() {
                encoder.push_histogram(held.ts_ms, &series.histogram(held)?);
                samples += 1;
            }

            if samples == before && columns != Columns::Labels {
                self.messages.truncate(message);
                continue;
            }

            let labels = self.labels.len();
            self.labels.extend_from_slice(series.labels());
            self.series.push(Place {
                message: message..self.messages.len(),
                labels: labels..self.labels.len(),
            });
        }

        Ok(samples)
    }
}

async fn collect(
    reader: &Reader,
    selection: &Selection,
    budget: &mut Budget,
) -> Result<QueryResult, Error> {
    let mut result = QueryResult::default();
    let mut batches = reader.select(selection).await?;

    while let Some(batch) = batches.next().await {
        let batch = batch?;
        budget.samples += result.push(&batch, selection.range, selection.columns)?;
        budget.check(&result)?;

        // Batches that are in memory are ready at once. Yielding lets the time-out and other tasks
        // run.
        tokio::task::yield_now().await;
    }

    Ok(result)
}

#[cfg(test)]
mod tests {
    use duramen_model::Labels;
    use duramen_qos::{Account, Budget as Memory};
    use duramen_source::SeriesBatchBuilder;

    use super::*;

    /// Returns a result of one series with this many samples, and their number.
    fn result(samples: i64) -> (QueryResult, usize) {
        let mut builder = SeriesBatchBuilder::default();
        let (ts, values): (Vec<_>, Vec<_>) = (0..samples).map(|ts_ms| (ts_ms, 1.5)).unzip();

        builder.push(
            &Labels::from_pairs([("__name__", "a")]).unwrap(),
            &ts,
            &values,
        );

        let mut result = QueryResult::default();
        let pushed = result
            .push(&builder.finish(), TimeRange::ALL, Columns::Samples)
            .unwrap();
        (result, pushed)
    }

    fn check(samples: i64, limits: &QueryLimits) -> Result<(), String> {
        let (result, pushed) = result(samples);
        let memory = Memory::of_query(&Account::unbounded(), limits.memory_bytes_max);
        let mut budget = Budget::new(limits, memory.reservation());
        budget.samples += pushed;

        budget.check(&result).map_err(|error| error.to_string())
    }

    #[test]
    fn one_sample_more_than_allowed_is_refused_by_the_limit_s_name() {
        let limits = QueryLimits {
            remote_read_samples_max: 7,
            ..QueryLimits::default()
        };

        assert_eq!(check(7, &limits), Ok(()));
        assert!(
            check(8, &limits)
                .unwrap_err()
                .contains("remote_read_samples_max=`7`")
        );
    }

    #[test]
    fn an_answer_that_is_too_large_is_refused_by_the_limit_s_name() {
        let bytes = result(100).0.bytes();
        let narrow = QueryLimits {
            answer_bytes_max: 100,
            ..QueryLimits::default()
        };

        assert!(
            check(100, &narrow)
                .unwrap_err()
                .contains("answer_bytes_max=`100`")
        );

        let limits = |memory_bytes_max| QueryLimits {
            memory_bytes_max,
            ..QueryLimits::default()
        };

        assert_eq!(check(100, &limits(COPIES * bytes)), Ok(()));
        assert!(
            check(100, &limits(COPIES * bytes - 1))
                .unwrap_err()
                .contains("memory_bytes_max=")
        );
    }

    #[test]
    fn a_series_without_samples_in_the_range_is_left_out_unless_series_are_asked_for() {
        let mut builder = SeriesBatchBuilder::default();
        builder.push(
            &Labels::from_pairs([("__name__", "a")]).unwrap(),
            &[5],
            &[1.0],
        );

        let batch = builder.finish();

        for (end_ms, columns, series) in [
            (5, Columns::Samples, 0),
            (6, Columns::Samples, 1),
            (5, Columns::Labels, 1),
        ] {
            let mut result = QueryResult::default();
            result
                .push(&batch, TimeRange::new(0, end_ms).unwrap(), columns)
                .unwrap();
            assert_eq!(result.in_order().len(), series, "{end_ms} {columns:?}");
        }
    }
}
