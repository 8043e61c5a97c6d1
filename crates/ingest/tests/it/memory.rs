//! The memory of a tenant's series is bounded, whatever their labels are.

use std::sync::Arc;

use duramen_ingest::{Config, Error};
use duramen_model::{ErrorKind, TenantName};
use duramen_proto::Version;
use duramen_qos::{Account, Full, Use};
use duramen_testkit::prompb::v1::TimeSeries;

use crate::body::{family, labels, of, of_metadata, one, sample, series};
use crate::system::{NOW_MS, System, tenant};

const SERIES_BYTES: &str = "duramen_head_series_bytes{tenant=\"anonymous\"}";

/// Returns a body with a series for each of `numbers`, each with ten labels of a kilobyte that no
/// other series has.
fn bomb(numbers: std::ops::Range<usize>, ts_ms: i64) -> Vec<u8> {
    of(numbers.map(|number| {
        let values: Vec<String> = (0..10)
            .map(|label| format!("{number}-{label}-{}", "x".repeat(1000)))
            .collect();
        let names: Vec<String> = (0..10).map(|label| format!("l{label}")).collect();
        let mut pairs = vec![("__name__", "bomb")];

        pairs.extend(
            names
                .iter()
                .map(String::as_str)
                .zip(values.iter().map(String::as_str)),
        );

        TimeSeries {
            labels: labels(&pairs),
            samples: vec![sample(ts_ms, 1.0)],
            ..TimeSeries::default()
        }
    }))
}

/// Writes bombs of a hundred series until one series is refused. Returns the text of the refusal.
async fn until_refused(system: &System) -> String {
    for at in 0..100 {
        let report = system
            .write(&bomb(at * 100..(at + 1) * 100, NOW_MS))
            .await
            .unwrap();

        if !report.rejected.is_empty() {
            return report.rejected.to_string();
        }
    }

    unreachable!("nothing was refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_labels_fill_the_memory_of_their_tenant_alone() {
    let system = System::start().await;
    system.limit(|limits| limits.series_bytes_max = Some(4 << 20));
    system.store(&one("known", NOW_MS, 1.0)).await;

    let text = until_refused(&system).await;
    assert!(
        text.contains("series_bytes_max=`4194304`") && text.contains("series_bytes_limit="),
        "{text}"
    );

    let held = system.metric(SERIES_BYTES);
    assert!(held > 3e6 && held <= 4_194_304.0, "{held}");
    assert!(system.metric("duramen_head_bytes") >= held);

    system.store(&one("known", NOW_MS + 1, 1.0)).await;
    system.store(&bomb(0..10, NOW_MS + 1)).await;

    let other = TenantName::parse("other").unwrap();
    let report = system
        .ingester
        .write(&other, Version::One, &bomb(0..10, NOW_MS))
        .await
        .unwrap();

    assert!(report.rejected.is_empty(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_series_of_all_tenants_have_a_bound_of_the_process() {
    let system = System::with(Config {
        series_bytes_max: 4 << 20,
        ..Config::default()
    })
    .await;

    // A tenant without a limit of its own has half of the memory.
    let text = until_refused(&system).await;
    assert!(
        text.contains("series_bytes_max=`2097152`") && text.contains("series_bytes_limit="),
        "{text}"
    );

    system.limit(|limits| limits.series_bytes_max = Some(8 << 20));

    let text = until_refused(&system).await;
    assert!(
        text.contains("head.series_bytes_max=`4194304`") && text.contains("memory_full="),
        "{text}"
    );

    let other = TenantName::parse("other").unwrap();
    let report = system
        .ingester
        .write(&other, Version::One, &bomb(0..100, NOW_MS))
        .await
        .unwrap();

    assert!(!report.rejected.is_empty());

    system.store(&bomb(0..10, NOW_MS + 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_memory_no_new_series_is_taken_and_known_ones_go_on() {
    let account = Account::new(8 << 20);
    let system = System::within(Arc::clone(&account), Config::default()).await;
    let text = until_refused(&system).await;

    assert!(
        text.contains("memory_bytes_max=`8388608`") && text.contains("memory_full="),
        "{text}"
    );

    // The body of the refused write had its share while it was handled.
    let held = account.used_by(Use::Head);
    assert!(held > 4 << 20, "{held}");
    assert!(account.used() <= account.mark(Use::Head));

    system.store(&bomb(0..10, NOW_MS + 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_even_samples_have_no_memory_a_write_is_to_be_sent_again() {
    let account = Account::new(8 << 20);
    let system = System::within(Arc::clone(&account), Config::default()).await;
    system.store(&one("known", NOW_MS, 1.0)).await;

    let taken = account
        .take(Use::Body, account.mark(Use::Head) - account.used() + 1)
        .unwrap();
    let error = system
        .write(&one("known", NOW_MS + 1, 1.0))
        .await
        .unwrap_err();

    assert!(
        matches!(
            error,
            Error::Memory(Full {
                wanted: Use::Head,
                ..
            })
        ),
        "{error}"
    );

    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().contains("memory_bytes_max=`8388608`"),
        "{error}"
    );

    drop(taken);
    system.store(&one("known", NOW_MS + 1, 1.0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_counts_for_the_memory_of_its_tenant() {
    let system = System::start().await;
    system.limit(|limits| limits.series_bytes_max = Some(1 << 20));

    let families = (0..200).map(|at| family(&format!("family_{at}"), &"help".repeat(2000)));
    let report = system.write(&of_metadata(families)).await.unwrap();
    let lost = report.lost_metadata.to_string();

    assert!(lost.contains("series_bytes_max=`1048576`"), "{lost}");
    assert!((100..150).contains(&report.metadata), "{report:?}");

    let held = system.metric(SERIES_BYTES);
    assert!(held <= 1_048_576.0, "{held}");

    // Known metadata takes no more memory.
    system
        .store(&of_metadata([family("family_0", &"help".repeat(2000))]))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_flush_gives_back_the_account_gets_back() {
    let system = System::start().await;
    let account = &system.memory;

    assert_eq!(account.used_by(Use::Head), 0);

    system
        .store(&of([TimeSeries {
            samples: (0..5000).map(|at| sample(NOW_MS + at, 0.1)).collect(),
            ..series("m")
        }]))
        .await;

    let with_samples = account.used_by(Use::Head);
    assert!(with_samples > 5000, "{with_samples}");

    system.ingester.flush(&tenant()).await.unwrap();
    assert_eq!(
        account.used_by(Use::Head) as f64,
        system.metric("duramen_head_bytes")
    );

    assert!(
        account.used_by(Use::Head) < with_samples - 5000,
        "{}",
        account.used_by(Use::Head)
    );
}
