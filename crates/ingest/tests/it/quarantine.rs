//! A damaged object of one tenant affects only that tenant.

use std::path::Path as FilePath;

use bytes::Bytes;
use duramen_ingest::{Config, Error};
use duramen_model::{ErrorKind, TenantId, TenantName};
use duramen_proto::Version;
use duramen_runtime::Disk;
use duramen_source::Heads;
use object_store::path::Path;

use crate::body::one;
use crate::system::{NOW_MS, System};

const SECOND: i64 = 1_000;

fn evil() -> TenantName {
    TenantName::parse("evil").unwrap()
}

async fn write_evil(system: &System, at: i64) -> Result<(), Error> {
    let body = one("m", NOW_MS + at * SECOND, at as f64);
    system
        .ingester
        .write(&evil(), Version::One, &body)
        .await
        .map(drop)
}

async fn write_good(system: &System, at: i64) {
    system
        .store(&one("m", NOW_MS + at * SECOND, at as f64))
        .await;
}

/// Returns how many samples the blocks in a tenant's manifest have.
async fn flushed(system: &System, tenant: TenantId) -> u64 {
    let state = system.manifests.refresh(tenant).await.unwrap();
    state.blocks.values().map(|block| block.stats.samples).sum()
}

/// Returns the newest object of a tenant's manifest, with its content.
async fn newest(system: &System, tenant: TenantId) -> (Path, Bytes) {
    let all = system
        .bucket
        .list(&duramen_bucket::keys::manifest(tenant), None)
        .await
        .unwrap();

    let key = all.into_iter().map(|object| object.location).max().unwrap();
    let object = system.bucket.get(&key, 1 << 20).await.unwrap();
    (key, object)
}

/// Flips a bit of the newest object. Returns the object as it was before.
async fn damage(system: &System, tenant: TenantId) -> (Path, Bytes) {
    let (key, object) = newest(system, tenant).await;
    let mut damaged = object.to_vec();
    let at = damaged.len() - 5;

    damaged[at] ^= 1;
    system.bucket.put(&key, Bytes::from(damaged)).await.unwrap();
    (key, object)
}

fn segments(system: &System) -> usize {
    system
        .disk
        .read_dir(FilePath::new("/data/wal"))
        .unwrap()
        .len()
}

#[tokio::test]
async fn a_damaged_manifest_stops_its_tenant_until_it_is_repaired_and_nobody_else() {
    let system = System::start().await;
    write_evil(&system, 1).await.unwrap();
    write_good(&system, 1).await;
    system.ingester.flush_all().await.unwrap();
    write_evil(&system, 2).await.unwrap();
    write_good(&system, 2).await;

    let id = system.id_of(&evil());
    let (key, object) = damage(&system, id).await;

    let system = system.crash().await;
    assert_eq!(system.metric("duramen_quarantined_tenants"), 1.0);

    let refused = write_evil(&system, 3).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(
        refused.to_string().contains("evil") && refused.to_string().contains(key.as_ref()),
        "{refused}"
    );

    let unread = system.ingester.snapshots(id).await.unwrap_err();
    assert_eq!(unread.kind(), ErrorKind::Unavailable);

    assert!(
        unread.source.to_string().contains("evil")
            && unread.source.to_string().contains(key.as_ref()),
        "{unread}"
    );

    assert_eq!(
        system.ingester.flush(&evil()).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );

    write_good(&system, 3).await;
    assert!(system.ingester.flush_all().await.is_err());
    assert_eq!(flushed(&system, system.tenant_id()).await, 3);

    system.bucket.put(&key, object).await.unwrap();
    system.ingester.flush(&evil()).await.unwrap();
    write_evil(&system, 4).await.unwrap();
    system.ingester.flush(&evil()).await.unwrap();

    assert_eq!(system.metric("duramen_quarantined_tenants"), 0.0);

    // The first sample is in two blocks: the replay could not know that it was flushed. Equal
    // samples count once.
    assert_eq!(flushed(&system, id).await, 1 + 3);
}

#[tokio::test]
async fn a_manifest_that_cannot_be_extended_while_the_process_runs_is_quarantined_and_heals() {
    let system = System::start().await;
    write_evil(&system, 1).await.unwrap();
    system.ingester.flush(&evil()).await.unwrap();
    write_evil(&system, 2).await.unwrap();

    let id = system.id_of(&evil());
    let next = system.manifests.cached(id).unwrap().sequence + 1;
    let key = duramen_bucket::keys::manifest(id).join(duramen_bucket::keys::slot(next));

    system
        .bucket
        .put(&key, "not what anybody would write")
        .await
        .unwrap();

    system.ingester.flush(&evil()).await.unwrap_err();
    assert_eq!(
        write_evil(&system, 3).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );

    write_good(&system, 1).await;
    system.bucket.delete(&key).await.unwrap();
    system.ingester.flush(&evil()).await.unwrap();
    write_evil(&system, 4).await.unwrap();
    system.ingester.flush(&evil()).await.unwrap();

    assert_eq!(flushed(&system, id).await, 3);
}

#[tokio::test]
async fn a_tenant_in_quarantine_keeps_its_records_and_not_the_log_of_the_others() {
    let system = System::with(Config {
        wal_segment_bytes_max: 2_000,
        ..Config::default()
    })
    .await;
    write_evil(&system, 1).await.unwrap();
    system.ingester.flush(&evil()).await.unwrap();

    for at in 2..40 {
        write_evil(&system, at).await.unwrap();
        write_good(&system, at).await;
    }

    let id = system.id_of(&evil());
    let (key, object) = damage(&system, id).await;

    let system = system.crash().await;

    for at in 40..400 {
        write_good(&system, at).await;
        if at % 20 == 0 {
            system
                .ingester
                .flush(&crate::system::tenant())
                .await
                .unwrap();
        }
    }

    // Trimming comes after the flush, and the next write comes after the trim.
    write_good(&system, 400).await;
    assert!(segments(&system) < 15, "{} segments", segments(&system));

    let system = system.crash().await;
    system.bucket.put(&key, object).await.unwrap();
    system.ingester.flush(&evil()).await.unwrap();

    // The first sample was flushed before, and is read back like the others.
    assert_eq!(flushed(&system, id).await, 1 + 39);
}

#[tokio::test]
async fn a_tenant_that_the_register_has_forgotten_is_registered_again_from_the_log() {
    let system = System::start().await;
    write_good(&system, 1).await;

    let id = system.tenant_id();
    let slot = Path::from(format!("tenants/{}", duramen_bucket::keys::slot(1)));
    system.bucket.delete(&slot).await.unwrap();

    let system = system.crash().await;
    assert_eq!(
        (system.report.samples, system.report.unknown_tenants),
        (1, 1)
    );

    assert_eq!(system.metric("duramen_wal_unknown_tenants_total"), 1.0);
    assert_eq!(system.tenant_id(), id);

    write_good(&system, 2).await;
    system.ingester.flush_all().await.unwrap();

    assert_eq!(flushed(&system, id).await, 2);
}

#[tokio::test]
async fn a_forgotten_tenant_whose_name_another_has_by_now_gives_it_its_samples() {
    let system = System::start().await;
    write_good(&system, 1).await;

    let slot = Path::from(format!("tenants/{}", duramen_bucket::keys::slot(1)));
    system.bucket.delete(&slot).await.unwrap();

    let other = System::beside(&system).await;
    write_good(&other, 2).await;
    other.ingester.flush_all().await.unwrap();

    let id = other.tenant_id();
    assert_ne!(id, system.tenant_id());

    drop(other);

    let system = system.crash().await;
    assert_eq!(system.tenant_id(), id);

    system.ingester.flush_all().await.unwrap();
    assert_eq!(flushed(&system, id).await, 2);
}
