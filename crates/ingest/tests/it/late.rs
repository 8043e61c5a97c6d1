//! Flushes whose blocks come after the horizon of the manifest has risen above them.

use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::{Bucket, WriterIdentity};
use duramen_manifest::Manifests;
use duramen_model::{BlockId, Incarnation, WriterId};
use duramen_testkit::s3::{Fault, Op, Rule, S3, S3Options, When};
use ulid::Ulid;

use crate::body::one;
use crate::system::{NOW_MS, System};

const HOUR_MS: u64 = 3_600_000;

/// The manifests as another process sees them.
fn of_another(bucket: &Bucket) -> Manifests {
    let identity = WriterIdentity {
        writer: WriterId(Ulid(99)),
        epoch: 0,
        incarnation: Incarnation(Ulid(99)),
    };

    Manifests::new(bucket.clone(), Arc::clone(bucket.clock()), identity)
}

fn horizon(ms: u64) -> BlockId {
    BlockId(Ulid::from_parts(ms, 0))
}

#[tokio::test]
async fn a_flush_that_is_refused_for_the_horizon_uploads_again_and_loses_nothing() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let system = System::start_at(&s3).await;
    system.store(&one("m", NOW_MS, 1.0)).await;

    // The blocks are uploaded, and the edit is not made.
    let manifest = format!("t/{}/manifest/", system.tenant_id());
    s3.inject(Rule {
        when: When::op(Op::Put).under(manifest),
        fault: Fault::Status(503),
    });
    system.ingester.flush_all().await.unwrap_err();
    s3.clear_faults();

    // A collector whose clock is a year ahead.
    let now_ms = NOW_MS.unsigned_abs();
    let above = horizon(now_ms + 365 * 24 * HOUR_MS);
    let collector = of_another(&system.bucket);
    let state = collector
        .raise_horizon(system.tenant_id(), above)
        .await
        .unwrap();
    assert_eq!(state.horizon, Some(above));

    system.clock.advance(Duration::from_secs(60));
    system.ingester.flush_all().await.unwrap();

    let state = collector.refresh(system.tenant_id()).await.unwrap();
    let ids: Vec<_> = state.blocks.keys().copied().collect();
    assert!(ids.len() == 1 && ids[0] > above, "{ids:?}");
    assert_eq!(system.ingester.head_bytes(), 0);

    // The samples are in the one live block.
    let block = state.blocks.values().next().unwrap();
    assert_eq!(block.stats.samples, 1);
    let object = format!("t/{}/blocks/block={}/meta", system.tenant_id(), ids[0]);
    assert!(s3.object(&object).is_some(), "{object}");
}

#[tokio::test]
async fn the_horizon_of_the_own_process_stays_below_a_flush_that_is_under_way() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let system = System::start_at(&s3).await;
    system.store(&one("m", NOW_MS, 1.0)).await;

    let manifest = format!("t/{}/manifest/", system.tenant_id());
    s3.inject(Rule {
        when: When::op(Op::Put).under(manifest),
        fault: Fault::Status(503),
    });
    system.ingester.flush_all().await.unwrap_err();
    s3.clear_faults();
    let puts = s3.counts().puts;

    let week = horizon(NOW_MS.unsigned_abs() + 7 * 24 * HOUR_MS);
    let state = system
        .manifests
        .raise_horizon(system.tenant_id(), week)
        .await
        .unwrap();
    assert!(state.horizon < Some(week));

    system.clock.advance(Duration::from_secs(60));
    system.ingester.flush_all().await.unwrap();

    // The edit of the horizon and that of the flush: the blocks are not uploaded again.
    assert_eq!(s3.counts().puts - puts, 2);
}

#[tokio::test]
async fn a_block_is_named_when_it_is_uploaded_and_not_when_it_is_staged() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let system = System::start_at(&s3).await;
    system.store(&one("m", NOW_MS, 1.0)).await;

    // The store is away for two days, while the block is staged.
    let away = s3.inject(Rule {
        when: When::any(),
        fault: Fault::Status(503),
    });
    system.ingester.flush_all().await.unwrap_err();
    assert!(s3.fired(away) > 0);
    s3.clear_faults();

    system.clock.advance(Duration::from_hours(48));
    let collector = of_another(&system.bucket);
    let day_ago = horizon(NOW_MS.unsigned_abs() + 24 * HOUR_MS);
    collector
        .raise_horizon(system.tenant_id(), day_ago)
        .await
        .unwrap();

    system.ingester.flush_all().await.unwrap();
    let state = collector.refresh(system.tenant_id()).await.unwrap();
    assert_eq!(state.blocks.len(), 1);
}
