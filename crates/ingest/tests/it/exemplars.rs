//! Exemplars are bounded, and they never make a request fail.

use duramen_ingest::Reason;
use duramen_testkit::prompb::v1::{Exemplar, TimeSeries};

use crate::body::{exemplar, labels, of, sample, series};
use crate::system::{NOW_MS, System};

#[tokio::test(flavor = "multi_thread")]
async fn an_exemplar_that_cannot_be_kept_is_counted_and_fails_nothing() {
    let system = System::start().await;
    let of_labels = |pairs: &[(&str, &str)]| Exemplar {
        labels: labels(pairs),
        value: 1.0,
        timestamp: NOW_MS,
    };

    // Characters are counted, not bytes: 120 characters of two bytes each, and the name, pass.
    let wide = "ö".repeat(120);
    let exemplars = vec![
        of_labels(&[("trace_id", &wide)]),
        of_labels(&[("trace_id", &"ö".repeat(121))]),
        of_labels(&[("a", "1"), ("a", "2")]),
        of_labels(&[("", "1")]),
        exemplar(i64::MAX, "late"),
        of_labels(&[]),
        // Exemplars may come out of order.
        exemplar(NOW_MS - 3_600_000, "early"),
    ];

    let body = of([TimeSeries {
        exemplars,
        samples: vec![sample(NOW_MS, 1.0)],
        ..series("m")
    }]);

    let report = system.write(&body).await.unwrap();
    assert!(report.rejected.is_empty(), "{}", report.rejected);
    assert_eq!((report.samples.stored, report.exemplars.stored), (1, 3));

    let ignored = [
        (Reason::ExemplarTooLong, 1),
        (Reason::ExemplarLabels, 2),
        (Reason::ExemplarTime, 1),
    ];

    assert_eq!(report.lost_exemplars.counts(), ignored);

    let again = system.write(&body).await.unwrap();
    assert_eq!((again.exemplars.stored, again.exemplars.repeated), (0, 3));

    let held: Vec<_> = system.exemplars().await[0]
        .exemplars
        .iter()
        .map(|e| e.ts_ms)
        .collect();

    assert_eq!(held, [NOW_MS - 3_600_000, NOW_MS, NOW_MS]);
}

#[tokio::test(flavor = "multi_thread")]
async fn exemplars_take_memory_and_give_it_back() {
    let system = System::start().await;
    system.limit(|limits| limits.exemplars_max = 50);

    let mut before = system.ingester.head_bytes();

    for n in 0..200 {
        let one = TimeSeries {
            exemplars: vec![exemplar(NOW_MS + n, &format!("{n:030}"))],
            ..series("m")
        };

        system.store(&of([one])).await;

        let after = system.ingester.head_bytes();
        assert_eq!(after > before, n < 50, "{n}: {before} to {after}");

        before = after;
    }

    assert_eq!(
        system.metric("duramen_head_exemplars{tenant=\"anonymous\"}"),
        50.0
    );

    assert_eq!(
        system.metric("duramen_ingest_evicted_exemplars_total{tenant=\"anonymous\"}"),
        150.0
    );

    system.ingester.flush_all().await.unwrap();
    assert_eq!(system.ingester.head_bytes(), 0);
}
