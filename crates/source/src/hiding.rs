//! Tests of sources that hide samples: each answers as one that never had them.

use std::sync::Arc;

use duramen_model::{
    Deletion, Exemplar, Labels, Life, Matcher, Sample, TimeRange, ValueTest, deletion,
};
use futures::executor::block_on;
use futures::{StreamExt, TryStreamExt};
use proptest::prelude::*;

use crate::{
    Columns, MaskedSource, MemorySource, RetainedSource, Retention, SeriesRequest, SeriesSource,
    SeriesStream,
};

const END_MS: i64 = 40;

/// A float of series `m{name}{job="{job}"}`.
type Float = (u8, u8, i64, f64);

fn labels(name: u8, job: u8) -> Labels {
    let name = format!("m{name}");
    let job = job.to_string();

    Labels::from_pairs([("__name__", name.as_str()), ("job", job.as_str())]).unwrap()
}

/// A source of floats, each with an exemplar of the same time. Some have life spans.
fn source(
    floats: &[Float],
    is_exemplar_left: impl Fn(&Float) -> bool,
    all: &[Float],
) -> MemorySource {
    let mut source = MemorySource::default();
    for (name, job, ts_ms, value) in floats {
        let ttl_ms = i64::from(*name) * 7;
        let life = Life {
            start_ms: 0,
            ttl_ms,
        };
        source.push_with_life(labels(*name, *job), Sample::new(*ts_ms, *value), life);
    }

    for float in all.iter().filter(|float| is_exemplar_left(float)) {
        let (name, job, ts_ms, value) = *float;
        let exemplar = Exemplar {
            ts_ms,
            value,
            labels: Labels::empty(),
        };
        source.push_exemplar(labels(name, job), exemplar);
    }

    source
}

async fn rows(stream: SeriesStream, range: TimeRange) -> Vec<(Vec<u8>, Vec<(i64, u64, i64)>)> {
    let batches: Vec<_> = stream.try_collect().await.unwrap();
    let mut rows = Vec::new();

    for batch in &batches {
        for row in 0..batch.len() {
            let (ts, values) = batch.samples_at(row);
            let ttls = batch.ttls_at(row).map(<[i64]>::to_vec);
            let ttls = ttls.unwrap_or_else(|| vec![0; ts.len()]);

            let samples = ts.iter().zip(values).zip(&ttls);
            let samples = samples.map(|((ts_ms, value), ttl)| (*ts_ms, value.to_bits(), *ttl));
            let inside = samples.filter(|(ts_ms, _, _)| range.contains(*ts_ms));
            rows.push((batch.labels_at(row).to_vec(), inside.collect()));
        }
    }

    rows
}

/// Compares everything that a source can be asked.
fn same_answers(hiding: &dyn SeriesSource, without: &dyn SeriesSource, request: &SeriesRequest) {
    block_on(async {
        for columns in [Columns::Labels, Columns::Samples, Columns::Everything] {
            let request = request.with_columns(columns);
            let one = rows(hiding.select(&request).await.unwrap(), request.range).await;
            let other = rows(without.select(&request).await.unwrap(), request.range).await;
            assert_eq!(one, other, "{columns:?}");

            let mut undecoded = hiding.select_undecoded(&request).await.unwrap();
            let mut batches = Vec::new();
            while let Some(batch) = undecoded.next().await {
                let mut batch = batch.unwrap();
                while let Some(piece) = batch.next_piece() {
                    batches.push(piece);
                }
            }

            let stream: SeriesStream = Box::pin(futures::stream::iter(batches));
            assert_eq!(rows(stream, request.range).await, other, "undecoded");
        }

        assert_eq!(
            hiding.summaries(request).await.unwrap(),
            without.summaries(request).await.unwrap()
        );
        same_lists(hiding, without, request).await;
    });
}

/// Compares exemplars, and the names and values of labels.
async fn same_lists(
    hiding: &dyn SeriesSource,
    without: &dyn SeriesSource,
    request: &SeriesRequest,
) {
    assert_eq!(
        hiding.exemplars(request).await.unwrap(),
        without.exemplars(request).await.unwrap()
    );
    assert_eq!(
        hiding.label_names(request).await.unwrap(),
        without.label_names(request).await.unwrap()
    );
    assert_eq!(
        hiding.label_values(request, "job").await.unwrap(),
        without.label_values(request, "job").await.unwrap()
    );
}

fn floats() -> impl Strategy<Value = Vec<Float>> {
    let float = (0..3_u8, 0..3_u8, 0..END_MS, (0..4_u8).prop_map(f64::from));
    prop::collection::vec(float, 0..60).prop_map(|mut floats| {
        floats.sort_by_key(|(name, job, ts_ms, _)| (*name, *job, *ts_ms));
        floats.dedup_by_key(|(name, job, ts_ms, _)| (*name, *job, *ts_ms));
        floats
    })
}

fn selector() -> impl Strategy<Value = Vec<Matcher>> {
    let matcher = (prop::bool::ANY, 0..3_u8, 0..3_u8).prop_map(|(by_name, value, op)| {
        let (name, value) = match by_name {
            true => ("__name__", format!("m{value}")),
            false => ("job", format!("{value}")),
        };

        match op {
            0 => Matcher::equal(name, value),
            1 => Matcher::not_equal(name, value),
            _ => Matcher::regex(name, &format!("{value}|x")).unwrap(),
        }
    });

    prop::collection::vec(matcher, 0..3)
}

fn range() -> impl Strategy<Value = TimeRange> {
    let some = (-1..END_MS, 1..END_MS)
        .prop_map(|(start_ms, length)| TimeRange::new(start_ms, start_ms + length).unwrap());
    prop_oneof![Just(TimeRange::ALL), some]
}

fn deletion() -> impl Strategy<Value = Deletion> {
    let value = prop_oneof![
        3 => Just(None),
        1 => prop::sample::select(vec!["> 1", "== 2", "!= 0", "<= 1"]).prop_map(Some),
    ];

    (prop::collection::vec(selector(), 1..3), range(), value).prop_map(
        |(selectors, range, value)| Deletion {
            selectors,
            range,
            value: value.map(|text| ValueTest::parse(text).unwrap()),
        },
    )
}

fn request(matchers: Vec<Matcher>, range: TimeRange, batch_series_max: usize) -> SeriesRequest {
    SeriesRequest {
        matchers: matchers.into(),
        range,
        columns: Columns::Samples,
        batch_series_max,
        reads: Arc::default(),
    }
}

proptest! {
    #[test]
    fn a_source_answers_as_one_that_never_had_what_was_deleted(
        floats in floats(),
        deletions in prop::collection::vec(deletion(), 0..3),
        matchers in selector(),
        range in range(),
        batch_series_max in 1..5_usize,
    ) {
        let hides = |float: &Float, of_exemplars: bool| {
            let (name, job, ts_ms, value) = *float;
            deletions.iter().any(|deletion| {
                let passes = match deletion.value {
                    None => true,
                    Some(test) => !of_exemplars && test.passes(value),
                };
                passes
                    && deletion.means(labels(name, job).encoded())
                    && deletion.range.contains(ts_ms)
            })
        };

        let left: Vec<Float> = floats.iter().copied().filter(|float| !hides(float, false)).collect();
        let without = source(&left, |float| !hides(float, true), &floats);
        let all = Arc::new(source(&floats, |_| true, &floats));
        let deletions = deletions.iter().cloned().map(Arc::new).collect();
        let times = TimeRange::new(0, END_MS).unwrap();
        let hiding = MaskedSource::new(all, deletions, times);

        same_answers(&hiding, &without, &request(matchers, range, batch_series_max));
    }

    #[test]
    fn a_source_answers_as_one_that_never_had_what_is_too_old(
        floats in floats(),
        rules in prop::collection::vec((selector(), 0..END_MS), 0..3),
        others_ms in prop_oneof![Just(i64::MIN), 0..END_MS + 2],
        matchers in selector(),
        start_ms in prop_oneof![Just(i64::MIN), 0..END_MS],
        batch_series_max in 1..5_usize,
    ) {
        let from_ms = |name: u8, job: u8| {
            let series = labels(name, job);
            let mut rules = rules.iter();
            let rule = rules.find(|(matchers, _)| deletion::passes(matchers, series.encoded()));
            rule.map_or(others_ms, |(_, from_ms)| *from_ms)
        };

        let is_kept = |float: &Float| float.2 >= from_ms(float.0, float.1);
        let left: Vec<Float> = floats.iter().copied().filter(is_kept).collect();
        let without = source(&left, is_kept, &floats);
        let all = Arc::new(source(&floats, |_| true, &floats));

        let rules = rules.iter().map(|(matchers, from_ms)| (matchers.clone().into(), *from_ms));
        let retention = Arc::new(Retention::new(rules.collect(), others_ms));
        let hiding = RetainedSource::new(all, retention);

        // What ends in the middle of the samples is not compared: there, a summary may count too
        // many and a series may be shown for a sample that comes later.
        let range = TimeRange::new(start_ms, END_MS + 3).unwrap();
        let request = request(matchers, range, batch_series_max);
        same_retained(&hiding, &without, &request);
    }
}

/// Like [`same_answers`], for a source whose summaries may count samples that are not kept.
fn same_retained(hiding: &dyn SeriesSource, without: &dyn SeriesSource, request: &SeriesRequest) {
    block_on(async {
        for columns in [Columns::Labels, Columns::Samples] {
            let request = request.with_columns(columns);
            let one = rows(hiding.select(&request).await.unwrap(), request.range).await;
            let other = rows(without.select(&request).await.unwrap(), request.range).await;
            assert_eq!(one, other, "{columns:?}");
        }

        let labels = |all: Vec<crate::SeriesSummary>| -> Vec<(Labels, i64)> {
            all.into_iter()
                .map(|one| (one.labels, one.last_ms))
                .collect()
        };
        assert_eq!(
            labels(hiding.summaries(request).await.unwrap()),
            labels(without.summaries(request).await.unwrap())
        );
        same_lists(hiding, without, request).await;
    });
}
