//! What is collected, when, and with how many requests.

use std::sync::Arc;
use std::time::Duration;

use duramen_blocks::{MemoryBlock, Publisher};
use duramen_bucket::{Bucket, Config, RetryPolicy, Tenants, keys};
use duramen_compact::{
    Collected, Collector, CollectorSettings, Cycles, Metrics, Named, Policy, Replaced, Worker,
};
use duramen_manifest::Commit;
use duramen_model::{AsOf, BlockEntry, BlockId, Content, Order, TenantName, WriterId};
use duramen_runtime::{Clock, MockClock};
use duramen_testkit::store::{SimClient, SimCounts, SimStore};
use ulid::Ulid;

use crate::entries::{DAY_MS, HOUR_MS};
use crate::store::{Answer, Process, TENANT, orphans, query, written};

const OVER_MS: i64 = 2 * DAY_MS;
const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);

/// A store at a time after the day of its flushes.
fn store() -> SimStore {
    SimStore::new(MockClock::at(OVER_MS))
}

/// The bucket as a process with a clock has it.
pub(crate) fn bucket_of(client: &SimClient, clock: &Arc<MockClock>) -> Bucket {
    let config = Config {
        retry: RetryPolicy {
            attempts_max: 1,
            ..RetryPolicy::default()
        },
        ..Config::default()
    };

    let store = Arc::new(client.clone());
    Bucket::over(store, "sim:".to_owned(), &config, Arc::clone(clock) as _)
}

/// A process whose clock is that of the store.
pub(crate) fn process(store: &SimStore, number: u64) -> Process {
    let bucket = bucket_of(&store.client(), store.clock());
    Process::new(
        &bucket,
        number,
        store.clock().now_ms(),
        Policy::default(),
        100,
    )
}

fn collector_of(process: &Process, clock: &Arc<MockClock>) -> Collector {
    collector_with(process, clock, HOUR)
}

fn collector_with(process: &Process, clock: &Arc<MockClock>, grace: Duration) -> Collector {
    let settings = CollectorSettings {
        age: DAY,
        grace,
        slots: 4,
    };

    let worker = Worker::new(process.bucket.clone(), &**clock);

    Collector::new(
        process.bucket.clone(),
        process.manifests.clone(),
        worker,
        settings,
        Replaced::default(),
        Named::default(),
    )
}

async fn collect(collector: &Collector) -> Collected {
    let time = collector.begin().await.unwrap();
    let collected = collector.collect(TENANT, &time).await.unwrap();
    collector.end().await.unwrap();
    collected
}

/// Four flushes of one day.
pub(crate) async fn flush_a_day(writer: &mut Process) {
    for flush in 0..4 {
        let samples: Answer = (0..30).map(|at| ((0, flush * HOUR_MS + at), 7)).collect();
        writer.flush(flush, &[(0, samples)]).await;
    }
}

/// Uploads a block, and does not name it.
pub(crate) async fn upload(process: &Process, id_ms: i64) -> BlockEntry {
    let samples = Answer::from([((0, 5), 7)]);
    let (stats, files) = written(&samples).finish_in_memory().unwrap();
    let order = Order {
        opened: 1,
        writer: WriterId(Ulid(77)),
        flush: 1,
    };

    let id = BlockId(process.clock.entropy().ulid(id_ms));
    let content = Content::of_flush(TENANT, order, 0);
    let entry = BlockEntry::of_flush(id, order, content, stats);
    let publisher = Publisher::new(process.bucket.clone(), process.manifests.clone());
    let block = MemoryBlock { entry, files };
    publisher.upload_from_memory(TENANT, block).await.unwrap()
}

#[tokio::test]
async fn what_nothing_names_goes_when_it_is_old_and_can_never_come_again() {
    let store = store();
    let mut writer = process(&store, 1);
    flush_a_day(&mut writer).await;
    let state = writer.state().await;

    let zombie = process(&store, 2);
    let late = upload(&zombie, OVER_MS).await;
    let collector = collector_of(&process(&store, 3), store.clock());

    store.clock().advance(DAY);
    assert!(
        collect(&collector).await.is_empty(),
        "it may be about to come"
    );
    assert_eq!(orphans(&writer.bucket, &state).await, 1);
    assert_eq!(writer.state().await.horizon, None, "nothing asks for it");

    store.clock().advance(Duration::from_millis(1));
    let collected = collect(&collector).await;
    assert_eq!(
        (collected.unnamed_blocks, collected.replaced_blocks),
        (1, 0)
    );
    assert_eq!(orphans(&writer.bucket, &state).await, 0);

    let commit = Commit::replace(Vec::new(), vec![late]);
    let error = zombie.manifests.commit(TENANT, commit).await.unwrap_err();
    assert!(error.is_behind_horizon(), "{error}");
    assert_eq!(writer.state().await.blocks, state.blocks);

    // What it uploads now goes with the next cycle, without another edit.
    upload(&zombie, OVER_MS).await;
    let before = writer.state().await.sequence;
    assert_eq!(collect(&collector).await.unnamed_blocks, 1);
    assert_eq!(writer.state().await.sequence, before);
}

#[tokio::test]
async fn what_a_process_has_replaced_goes_after_the_grace_although_the_process_has_ended() {
    let store = store();
    let mut writer = process(&store, 1);
    flush_a_day(&mut writer).await;
    let before = writer.state().await;
    let expected = query(&writer.bucket, &before).await;

    let worker = process(&store, 2);
    let summary = worker
        .compactor
        .drain(TENANT, |_| true, |_| {})
        .await
        .unwrap();
    assert_eq!(summary.done, 1);
    drop(worker);

    // This collector has seen nothing of it. It is long after the times in the ids, and the clock
    // of its process is another.
    for clock in [MockClock::at(0), MockClock::at(400 * DAY_MS)] {
        let bucket = bucket_of(&store.client(), &clock);
        let other = Process::new(&bucket, 3, clock.now_ms(), Policy::default(), 100);
        let collector = collector_of(&other, &clock);
        assert!(collect(&collector).await.is_empty());
    }

    let collector = collector_of(&process(&store, 4), store.clock());
    store.clock().advance(HOUR - Duration::from_millis(1));
    assert!(collect(&collector).await.is_empty());
    assert_eq!(
        query(&writer.bucket, &before).await,
        expected,
        "a query goes on"
    );

    store.clock().advance(Duration::from_millis(1));
    let collected = collect(&collector).await;
    assert_eq!(
        (collected.unnamed_blocks, collected.replaced_blocks),
        (0, 4)
    );

    let after = writer.state().await;
    assert_eq!(orphans(&writer.bucket, &after).await, 0);
    assert_eq!(query(&writer.bucket, &after).await, expected);
    assert_eq!(after.horizon, None, "a replaced block never comes back");
}

#[tokio::test]
async fn a_clock_that_is_ahead_refuses_no_block() {
    let store = store();
    let mut writer = process(&store, 1);
    flush_a_day(&mut writer).await;
    upload(&writer, OVER_MS - 2 * DAY_MS).await;

    let clock = MockClock::at(1_000 * DAY_MS);
    let bucket = bucket_of(&store.client(), &clock);
    let ahead = Process::new(&bucket, 3, clock.now_ms(), Policy::default(), 100);
    assert_eq!(
        collect(&collector_of(&ahead, &clock)).await.unnamed_blocks,
        1
    );

    let horizon = writer.state().await.horizon.unwrap();
    assert_eq!(horizon.0.timestamp_ms(), (OVER_MS - DAY_MS).cast_unsigned());
}

#[tokio::test]
async fn a_cycle_takes_so_many_requests() {
    let store = store();
    let mut writer = process(&store, 1);
    flush_a_day(&mut writer).await;

    let client = store.client();
    let bucket = bucket_of(&client, store.clock());
    let reader = Process::new(&bucket, 3, OVER_MS, Policy::default(), 100);
    reader.state().await;
    let collector = collector_of(&reader, store.clock());

    // The time of the store, the objects of the tenant (blocks, claims, slots), and a look at the
    // manifest.
    client.reset_counts();
    assert!(collect(&collector).await.is_empty());
    let quiet = SimCounts {
        puts: 1,
        lists: 4,
        gets: 1,
        deletes: 1,
    };
    assert_eq!(client.counts(), quiet);

    // With a block that nothing names: the edit of the horizon, and a DELETE for each file.
    let orphan = upload(&writer, 0).await;
    let files = orphan.stats.files.len() as u64 + 1;
    client.reset_counts();
    assert_eq!(collect(&collector).await.objects, files);
    let busy = SimCounts {
        puts: 2,
        deletes: 1 + files,
        ..quiet
    };
    assert_eq!(client.counts(), busy);
}

#[tokio::test]
async fn foreign_objects_old_claims_and_dead_workers() {
    let store = store();
    let mut writer = process(&store, 1);
    flush_a_day(&mut writer).await;

    let folder = keys::blocks(TENANT);
    let foreign = [
        folder.clone().join("notes.txt"),
        keys::tenant(TENANT).join("mine"),
    ];
    for key in &foreign {
        writer.bucket.put(key, "keep").await.unwrap();
    }

    let claim = keys::job(TENANT, "00", 1);
    writer.bucket.put(&claim, "{}").await.unwrap();
    let dead = Worker::new(writer.bucket.clone(), &**store.clock());
    dead.beat().await.unwrap();

    let collector = collector_of(&process(&store, 3), store.clock());
    store.clock().advance(DAY - Duration::from_millis(1));
    assert!(collect(&collector).await.is_empty());
    assert!(writer.bucket.head(&keys::worker(dead.id())).await.is_ok());

    store.clock().advance(Duration::from_millis(1));
    let collected = collect(&collector).await;
    assert_eq!((collected.claims, collected.objects), (1, 1));
    assert!(writer.bucket.head(&claim).await.is_err());
    assert!(writer.bucket.head(&keys::worker(dead.id())).await.is_err());

    for key in &foreign {
        assert!(writer.bucket.head(key).await.is_ok(), "{key}");
    }
}

#[tokio::test]
async fn a_tenant_with_many_edits_keeps_what_they_have_removed() {
    let store = store();
    let mut writer = process(&store, 1);
    flush_a_day(&mut writer).await;
    let before = writer.state().await;
    let expected = query(&writer.bucket, &before).await;

    let worker = process(&store, 2);
    worker
        .compactor
        .drain(TENANT, |_| true, |_| {})
        .await
        .unwrap();

    // More edits than are listed at first, and the flushes were uploaded days ago.
    for flush in 0..6 {
        let samples = Answer::from([((0, flush), 7)]);
        writer.flush(flush, &[(0, samples)]).await;
    }

    let later = MockClock::at(OVER_MS + 100 * DAY_MS);
    let bucket = bucket_of(&store.client(), &later);
    let other = Process::new(&bucket, 3, later.now_ms(), Policy::default(), 100);
    let collector = collector_of(&other, &later);
    store.clock().advance(HOUR / 2);
    assert!(collect(&collector).await.is_empty());
    assert_eq!(query(&writer.bucket, &before).await, expected);
}

#[tokio::test]
async fn old_snapshots_go_and_the_manifest_is_read_as_before() {
    let store = store();
    let mut writer = process(&store, 1);
    for flush in 0..200 {
        let samples = Answer::from([((0, flush), 7)]);
        writer.flush(flush, &[(0, samples)]).await;
    }

    let state = writer.state().await;
    let snapshots = async || {
        let prefix = keys::manifest_snapshots(TENANT);
        let objects = writer.bucket.list(&prefix, None).await.unwrap();
        let names = objects
            .iter()
            .filter_map(|object| object.location.filename());
        let sequences = names.filter_map(|name| keys::parse_slot(&name[..20]));
        sequences.collect::<Vec<_>>()
    };
    assert_eq!(snapshots().await, [64, 128, 192]);

    let collector = collector_of(&process(&store, 3), store.clock());
    store.clock().advance(DAY - Duration::from_millis(1));
    assert!(collect(&collector).await.is_empty());

    // Past states are read as far back as replaced blocks are kept.
    store.clock().advance(Duration::from_millis(1));
    let patient = collector_with(&process(&store, 5), store.clock(), 2 * DAY);
    assert!(collect(&patient).await.is_empty());

    assert_eq!(collect(&collector).await.snapshots, 2);
    assert_eq!(snapshots().await, [192]);

    let fresh = process(&store, 4);
    assert_eq!(fresh.state().await, state);
    assert!(collect(&collector).await.is_empty());
}

#[tokio::test]
async fn a_named_snapshot_holds_its_blocks_and_its_manifest() {
    let store = store();
    let mut writer = process(&store, 1);

    // The named state builds on the first snapshot of the manifest.
    for flush in 0..70 {
        let samples = Answer::from([((0, flush), 7)]);
        writer.flush(flush, &[(0, samples)]).await;
    }

    let named = Commit::snapshot("kept");
    writer.manifests.commit(TENANT, named).await.unwrap();
    let before = writer.state().await;
    let expected = query(&writer.bucket, &before).await;

    // All blocks go, and then come many edits.
    let ids: Vec<_> = before.blocks.keys().copied().collect();
    let removed = Commit::replace(ids, Vec::new());
    writer.manifests.commit(TENANT, removed).await.unwrap();

    for flush in 70..400 {
        let samples = Answer::from([((0, flush), 7)]);
        writer.flush(flush, &[(0, samples)]).await;
    }

    let collector = collector_of(&process(&store, 3), store.clock());
    store.clock().advance(3 * DAY);
    let collected = collect(&collector).await;
    assert_eq!(collected.replaced_blocks + collected.unnamed_blocks, 0);
    assert!(collected.snapshots > 0);

    let reader = process(&store, 4);
    let as_of = || AsOf::Snapshot("kept".into());
    let then = reader.manifests.as_of(TENANT, &as_of()).await.unwrap();
    assert_eq!(query(&writer.bucket, &then).await, expected);

    let dropped = Commit::drop_snapshot("kept");
    writer.manifests.commit(TENANT, dropped).await.unwrap();
    let collected = collect(&collector).await;
    assert_eq!(collected.replaced_blocks + collected.unnamed_blocks, 70);
    assert!(collected.snapshots > 0);
}

#[tokio::test]
async fn a_block_that_is_named_right_before_the_horizon_stays() {
    let store = store();
    let mut writer = process(&store, 1);
    flush_a_day(&mut writer).await;

    let zombie = process(&store, 2);
    let late = upload(&zombie, OVER_MS - 2 * DAY_MS).await;
    let block = late.id;
    let expected = query(&writer.bucket, &*writer.state().await).await;

    let client = store.client();
    let bucket = bucket_of(&client, store.clock());
    let other = Process::new(&bucket, 3, OVER_MS, Policy::default(), 100);
    other.state().await;
    let collector = collector_of(&other, store.clock());

    // The time of the store (2), the manifest, blocks, claims and slots. Then it raises the
    // horizon.
    client.stop_at(7, false);
    let naming = async {
        client.stopped().await;
        let commit = Commit::replace(Vec::new(), vec![late]);
        zombie.manifests.commit(TENANT, commit).await.unwrap();
        client.resume();
    };

    let (collected, ()) = futures::join!(collect(&collector), naming);
    assert!(collected.is_empty(), "{collected:?}");

    let state = writer.state().await;
    assert!(state.horizon.is_some() && state.blocks.contains_key(&block));
    assert_eq!(query(&writer.bucket, &state).await, expected);
}

/// A deleted tenant goes with all of its objects, but not while queries may read them.
#[tokio::test]
async fn all_objects_of_a_deleted_tenant_go_after_the_grace() {
    let store = store();
    let clock = store.clock();
    let client = store.client();
    let bucket = bucket_of(&client, clock);
    let mut writer = Process::new(&bucket, 1, OVER_MS, Policy::default(), 100);
    flush_a_day(&mut writer).await;

    let register = Tenants::open(writer.bucket.clone(), WriterId(Ulid(1))).await;
    let register = Arc::new(register.unwrap());
    let name = TenantName::parse("anonymous").unwrap();
    let stays = TenantName::parse("stays").unwrap();
    register.restore(&name, TENANT).await.unwrap();
    let other = register.resolve_or_create(&stays).await.unwrap();
    let kept = keys::tenant(other).join("kept");
    writer.bucket.put(&kept, "kept").await.unwrap();

    let collector = collector_of(&writer, clock);
    let cycles = Cycles::new(collector, Arc::clone(&register), Metrics::default());
    let left = async || {
        writer
            .bucket
            .list(&keys::tenant(TENANT), None)
            .await
            .unwrap()
    };

    cycles.cycle().await;
    let before = left().await.len();
    assert!(before > 12, "{before}");

    register.delete(&name).await.unwrap();
    cycles.cycle().await;
    assert_eq!(left().await.len(), before, "a query may be reading");

    clock.advance(HOUR);
    cycles.cycle().await;
    assert_eq!(left().await.len(), 0);

    // An upload that had begun before.
    upload(&writer, clock.now_ms()).await;
    cycles.cycle().await;
    assert_eq!(left().await.len(), 0);

    clock.advance(DAY);
    cycles.cycle().await;
    client.reset_counts();
    cycles.cycle().await;
    // Of the tenant that stays: the blocks, the claims, the manifest. Of the deleted one nothing.
    assert_eq!(client.counts().lists, 4);

    let kept = writer
        .bucket
        .list(&keys::tenant(other), None)
        .await
        .unwrap();
    assert_eq!(kept.len(), 1);
}
