//! Floats and histograms, their lives, and conflicts between the two.

use duramen_ingest::{Kept, Reason};
use duramen_model::{Counts, Life};
use duramen_proto::Version;
use duramen_testkit::prompb::v1::{BucketSpan, TimeSeries, histogram};
use duramen_testkit::prompb::{Message, v2};

use crate::body::{exemplar, histogram, of, sample, series};
use crate::system::{NOW_MS, System, tenant};

const ONE: Kept = Kept {
    stored: 1,
    repeated: 0,
};

#[tokio::test(flavor = "multi_thread")]
async fn everything_of_both_versions_is_back_after_a_crash() {
    let system = System::start().await;
    let mut with_ttl = sample(NOW_MS, 1.5);
    with_ttl.ttl_ms = 60_000;

    let mixed = TimeSeries {
        samples: vec![with_ttl, sample(NOW_MS + 2, 0.1)],
        histograms: vec![histogram(NOW_MS + 1, 3)],
        exemplars: vec![exemplar(NOW_MS, "abc")],
        ..series("mixed")
    };

    let report = system.store(&of([mixed])).await;
    assert_eq!(
        (report.samples.stored, report.histograms, report.exemplars),
        (2, ONE, ONE)
    );

    let symbols = ["", "__name__", "two", "help"].map(str::to_owned).to_vec();
    let started = v2::Sample {
        value: 7.0,
        timestamp: NOW_MS,
        start_timestamp: NOW_MS - 5_000,
        ttl_ms: 0,
    };

    let metadata = Some(v2::Metadata {
        r#type: 1,
        help_ref: 3,
        unit_ref: 0,
    });

    let two = v2::TimeSeries {
        labels_refs: vec![1, 2],
        samples: vec![started],
        metadata,
        ..Default::default()
    };

    let body = v2::Request {
        symbols,
        timeseries: vec![two],
    }
    .encode_to_vec();

    let report = system
        .ingester
        .write(&tenant(), Version::Two, &body)
        .await
        .unwrap();

    assert_eq!(
        (report.samples, report.metadata, report.rejected.is_empty()),
        (ONE, 1, true)
    );

    let before = system.held("mixed").await;
    let exemplars = system.exemplars().await;
    let system = system.crash().await;

    assert_eq!((system.report.samples, system.report.exemplars), (4, 1));

    let mixed = system.held("mixed").await;
    assert_eq!(mixed, before);

    assert_eq!(
        mixed
            .floats
            .iter()
            .map(|f| (f.0, f.1.to_bits()))
            .collect::<Vec<_>>(),
        [(NOW_MS, 1.5f64.to_bits()), (NOW_MS + 2, 0.1f64.to_bits())]
    );

    assert_eq!(
        mixed.floats[0].2,
        Life {
            start_ms: 0,
            ttl_ms: 60_000
        }
    );

    let (ts_ms, held, _) = &mixed.histograms[0];
    let Counts::Integer {
        count, positive, ..
    } = &held.counts
    else {
        panic!("{held:?}")
    };

    assert_eq!(
        (*ts_ms, held.schema, held.sum, *count, positive.as_slice()),
        (NOW_MS + 1, 3, 1.5, 3, &[1, 0, 0][..])
    );

    assert_eq!(
        system.held("two").await.floats,
        [(
            NOW_MS,
            7.0,
            Life {
                start_ms: NOW_MS - 5_000,
                ttl_ms: 0
            }
        )]
    );

    assert_eq!(system.exemplars().await, exemplars);
    assert_eq!(
        exemplars[0].exemplars[0].labels.to_string(),
        "{trace_id=\"abc\"}"
    );

    let families = system.families().await;
    assert_eq!(
        (families[0].family.as_str(), families[0].help.as_str()),
        ("two", "help")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_again_is_repeated_and_a_float_where_a_histogram_is_conflicts() {
    let system = System::start().await;
    let histograms = |timestamp, buckets| {
        of([TimeSeries {
            histograms: vec![histogram(timestamp, buckets)],
            ..series("h")
        }])
    };

    let floats = |timestamp| {
        of([TimeSeries {
            samples: vec![sample(timestamp, 1.0)],
            ..series("h")
        }])
    };

    // All of it is out of order.
    for timestamp in [NOW_MS, NOW_MS - 60_000, NOW_MS - 30_000] {
        assert_eq!(
            system.store(&histograms(timestamp, 4)).await.histograms,
            ONE
        );

        assert_eq!(
            system
                .store(&histograms(timestamp, 4))
                .await
                .histograms
                .repeated,
            1
        );

        assert_eq!(system.store(&floats(timestamp - 1)).await.samples, ONE);
    }

    for body in [
        histograms(NOW_MS - 30_000, 5),
        floats(NOW_MS - 30_000),
        histograms(NOW_MS - 30_001, 4),
    ] {
        let report = system.write(&body).await.unwrap();
        assert_eq!(report.rejected.counts(), [(Reason::Conflict, 1)]);
        assert!(
            report
                .rejected
                .to_string()
                .contains("another value is held"),
            "{}",
            report.rejected
        );
    }

    let held = system.held("h").await;
    assert_eq!((held.floats.len(), held.histograms.len()), (3, 3));
    assert_eq!(
        system.metric("duramen_head_histograms{tenant=\"anonymous\"}"),
        3.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_histogram_that_is_none_is_refused_alone_and_a_fine_one_is_made_coarser() {
    let system = System::start().await;
    let mut torn = histogram(NOW_MS, 2);
    torn.positive_spans = vec![BucketSpan {
        offset: 0,
        length: 9,
    }];

    let mut strange = histogram(NOW_MS + 1, 2);
    strange.schema = 53;

    let mut short = histogram(NOW_MS + 2, 2);
    short.count = Some(histogram::Count::CountInt(1));

    let mut fine = histogram(NOW_MS + 3, 2);
    fine.schema = 9;

    let all = TimeSeries {
        histograms: vec![torn, strange, short, fine],
        ..series("h")
    };

    let report = system.write(&of([all])).await.unwrap();
    assert_eq!(
        (report.histograms, report.rejected.counts()),
        (ONE, &[(Reason::HistogramInvalid, 3)][..])
    );

    assert!(
        report
            .rejected
            .to_string()
            .contains("series=`h{job=\"test\"}`"),
        "{}",
        report.rejected
    );

    let held = system.held("h").await;
    assert_eq!(
        held.histograms
            .iter()
            .map(|(ts_ms, held, _)| (*ts_ms, held.schema))
            .collect::<Vec<_>>(),
        [(NOW_MS + 3, 8)]
    );

    let rejected =
        "duramen_ingest_rejected_samples_total{tenant=\"anonymous\",reason=\"histogram_invalid\"}";
    assert_eq!(system.metric(rejected), 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_of_which_nothing_can_be_stored_takes_no_place() {
    let system = System::start().await;
    let mut torn = histogram(NOW_MS, 2);
    torn.schema = 99;

    let broken = TimeSeries {
        histograms: vec![torn],
        samples: vec![sample(i64::MAX, 1.0)],
        ..series("broken")
    };

    let report = system.write(&of([broken])).await.unwrap();
    assert_eq!(
        report.rejected.counts(),
        [(Reason::FarFuture, 1), (Reason::HistogramInvalid, 1)]
    );

    assert_eq!(system.ingester.head_series(), 0);

    let only_exemplars = TimeSeries {
        exemplars: vec![exemplar(NOW_MS, "a")],
        ..series("e")
    };

    system.store(&of([only_exemplars])).await;
    assert_eq!(system.ingester.head_series(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_life_span_and_the_summaries_tell_what_is_held() {
    let system = System::start().await;
    let mut long = sample(NOW_MS - 7, 1.0);
    let mut longer = histogram(NOW_MS - 5, 1);

    (long.ttl_ms, longer.ttl_ms) = (5_000, 7_000);

    let held = TimeSeries {
        samples: vec![sample(NOW_MS, 1.0), long],
        histograms: vec![longer],
        ..series("m")
    };

    system.store(&of([held])).await;

    let parts = system.parts().await;
    let source = &parts[0].source;
    let request = system.request(duramen_source::Columns::Samples);

    assert_eq!(source.ttl_max_ms().await.unwrap(), 7_000);

    let summaries = source.summaries(&request).await.unwrap();
    let told: Vec<_> = summaries
        .iter()
        .map(|s| (s.floats, s.histograms, s.first_ms, s.last_ms))
        .collect();

    assert_eq!(told, [(2, 1, NOW_MS - 7, NOW_MS)]);
}
