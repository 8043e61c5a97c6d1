//! A replay takes no more memory than the process that wrote the log, and finds all acknowledged
//! samples.

use duramen_ingest::Config;
use duramen_qos::Use;
use duramen_testkit::prompb::v1::TimeSeries;

use crate::body::{family, labels, of, of_metadata, one, sample, series};
use crate::forgetting::{Samples, everything};
use crate::system::{NOW_MS, System, tenant};

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_more_than_heads_may_hold_is_staged_while_it_is_read() {
    let system = System::start().await;
    system.store(&of_metadata([family("m0", "Help.")])).await;

    let mut acknowledged = Samples::new();

    for at in 0..40_i64 {
        let name = format!("m{}", at % 4);

        // Values that do not compress.
        let value = |k: i64| {
            f64::from_bits(
                0x3ff0_0000_0000_0000
                    | ((at * 2000 + k)
                        .unsigned_abs()
                        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                        >> 12),
            )
        };

        let samples: Vec<_> = (0..2000)
            .map(|k| sample(NOW_MS + at * 2000 + k, value(k)))
            .collect();
        acknowledged.extend(
            samples
                .iter()
                .map(|sample| ((name.clone(), sample.timestamp), sample.value)),
        );

        system
            .store(&of([TimeSeries {
                samples,
                ..series(&name)
            }]))
            .await;
    }

    let held = system.ingester.head_bytes();
    assert!(held > MIB / 2, "{held}");

    let small = Config {
        head_bytes_max: MIB / 4,
        ..Config::default()
    };

    let system = system.crash_into(small).await;
    let held = system.ingester.head_bytes();

    assert!(held <= MIB / 2, "{held}");
    assert!(system.parts().await.len() > 1, "something is staged");
    assert!(
        everything(&system).await == acknowledged,
        "a sample is missing or changed"
    );

    assert_eq!(system.families().await.len(), 1);

    // Staged samples are not committed. After another crash they are in the log, and a flush puts
    // them into the bucket.
    let system = system.crash().await;
    assert!(
        everything(&system).await == acknowledged,
        "a sample is missing or changed after another crash"
    );

    system.ingester.flush(&tenant()).await.unwrap();
    assert_eq!(system.ingester.head_bytes(), 0);

    let system = system.crash().await;
    assert_eq!(system.report.samples, 0);
    assert!(
        everything(&system).await == acknowledged,
        "a sample is missing or changed after the flush"
    );

    assert_eq!(system.families().await.len(), 0, "they are in a block");
}

#[tokio::test(flavor = "multi_thread")]
async fn series_whose_samples_are_in_blocks_are_not_read_back_and_those_that_went_on_are() {
    let system = System::start().await;
    let long = "x".repeat(2000);

    let many = of((0..200).map(|at| {
        let labels = labels(&[("__name__", "bomb"), ("value", &format!("{at}{long}"))]);
        TimeSeries {
            labels,
            samples: vec![sample(NOW_MS, 1.0)],
            ..TimeSeries::default()
        }
    }));

    system.store(&one("before", NOW_MS, 1.0)).await;
    system.store(&many).await;
    system.ingester.flush(&tenant()).await.unwrap();

    // This series was defined before the flush, in the same segment.
    system.store(&one("before", NOW_MS + 1, 2.0)).await;
    system.store(&one("after", NOW_MS + 1, 3.0)).await;

    let system = system.crash().await;
    assert_eq!((system.report.samples, system.report.lost_samples), (2, 0));
    assert_eq!(system.ingester.head_series(), 2);

    assert!(
        system.memory.used_by(Use::Head) < 100_000,
        "{}",
        system.memory.used_by(Use::Head)
    );

    let floats = |name: &'static str| {
        let system = &system;

        async move {
            system
                .held(name)
                .await
                .floats
                .iter()
                .map(|float| float.1)
                .collect::<Vec<_>>()
        }
    };

    assert_eq!(
        (floats("before").await, floats("after").await),
        (vec![2.0], vec![3.0])
    );
}
