//! A clone reads the blocks of its home, which nobody deletes before it has let go of them.

use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::{Bucket, keys};
use duramen_compact::{Collector, CollectorSettings, Cycles, Metrics, Policy, Worker};
use duramen_manifest::{AskedDeletion, Commit, Manifests, State, clones};
use duramen_model::{AsOf, Deletion, Matcher, TenantId, TenantName, TimeRange};
use duramen_qos::Account;
use duramen_runtime::MockClock;
use ulid::Ulid;

use crate::entries::{DAY_MS, HOUR_MS};
use crate::store::{Answer, Process, TENANT, query_of};

const OVER_MS: i64 = 2 * DAY_MS;
const HOUR: Duration = Duration::from_hours(1);

/// A clone that was made at the time of the tests.
const CLONE: TenantId = TenantId(Ulid::from_parts(OVER_MS.cast_unsigned(), 77));

fn name(text: &str) -> TenantName {
    TenantName::parse(text).unwrap()
}

/// A bucket with a tenant of four flushes of one day, and a process.
async fn flushed() -> (Bucket, Process) {
    let bucket = Bucket::memory(MockClock::at(OVER_MS));
    let process = flushed_into(&bucket).await;
    (bucket, process)
}

async fn flushed_into(bucket: &Bucket) -> Process {
    let mut writer = Process::new(bucket, 1, HOUR_MS, Policy::default(), 100);

    for flush in 0..4 {
        let samples: Answer = (0..30)
            .map(|at| ((0, flush * HOUR_MS + at), 7 + flush.cast_unsigned()))
            .collect();
        writer.flush(flush, &[(0, samples)]).await;
    }

    Process::new(bucket, 9, OVER_MS, Policy::default(), 100)
}

/// Makes the clone.
async fn begin(manifests: &Manifests) -> Arc<State> {
    let hold = Commit::snapshot(&clones::hold(CLONE));
    let home = manifests.commit(TENANT, hold).await.unwrap();
    let begun = manifests.begin_clone(CLONE, TENANT, home.sequence).await;
    begun.unwrap()
}

async fn ask(bucket: &Bucket, manifests: &Manifests, tenant: TenantId) -> Answer {
    let state = manifests.refresh(tenant).await.unwrap();
    query_of(bucket, tenant, &state).await
}

async fn objects(bucket: &Bucket, tenant: TenantId) -> usize {
    let blocks = keys::blocks(tenant);
    bucket.list(&blocks, None).await.unwrap().len()
}

#[tokio::test]
async fn a_clone_begins_with_the_state_of_its_home_and_goes_its_own_way() {
    let (bucket, process) = flushed().await;
    let manifests = &process.manifests;
    let expected = ask(&bucket, manifests, TENANT).await;
    let begun = begin(manifests).await;

    let origin = begun.origin.unwrap();
    assert_eq!((origin.home, begun.sequence), (TENANT, origin.sequence + 1));
    assert_eq!(objects(&bucket, CLONE).await, 0, "nothing is copied");
    assert_eq!(ask(&bucket, manifests, CLONE).await, expected);

    // Another process reads the same.
    let other = Process::new(&bucket, 3, OVER_MS, Policy::default(), 100);
    assert_eq!(other.manifests.refresh(CLONE).await.unwrap(), begun);

    // It has no past before its beginning, at any time and sequence.
    for as_of in [
        AsOf::Sequence(origin.sequence),
        AsOf::Time(0),
        AsOf::Sequence(1),
    ] {
        let past = other.manifests.as_of(CLONE, &as_of).await.unwrap_err();
        assert!(past.to_string().contains("not kept"), "{as_of:?} {past}");
    }
    let now = AsOf::Sequence(begun.sequence);
    assert_eq!(other.manifests.as_of(CLONE, &now).await.unwrap(), begun);

    // What is deleted of one is not deleted of the other.
    let deletion = Deletion {
        selectors: vec![vec![Matcher::equal("__name__", "m0".to_owned())]],
        range: TimeRange::ALL,
        value: None,
    };
    let asked = AskedDeletion {
        id: Ulid(5),
        deletion: Arc::new(deletion),
        author: String::new(),
        at_ms: OVER_MS,
        positions: std::collections::BTreeMap::new(),
    };
    let state = manifests
        .commit(CLONE, Commit::delete(asked))
        .await
        .unwrap();
    assert_eq!(state.deletions.last(), begun.sequence + 1);
    let home = manifests.refresh(TENANT).await.unwrap();
    assert_eq!(home.deletions.in_force.len(), 0);
}

#[tokio::test]
async fn the_home_keeps_its_blocks_until_the_clone_has_let_go() {
    let (bucket, process) = flushed().await;
    let manifests = process.manifests.clone();
    let clock = Arc::clone(&process.clock);
    let expected = ask(&bucket, &manifests, TENANT).await;
    begin(&manifests).await;

    let rounds = process.into_rounds(true, Account::unbounded()).await;
    let before = objects(&bucket, TENANT).await;

    // The home merges its four blocks, and what it has replaced stays for the clone. The clone is
    // about to come: the register does not know it yet.
    for _ in 0..3 {
        rounds.round().await;
        clock.advance(HOUR);
    }
    assert!(objects(&bucket, TENANT).await > before);
    assert_eq!(ask(&bucket, &manifests, CLONE).await, expected);

    // Now the clone merges as well. It has blocks of its own then.
    let clone = rounds.register.restore(&name("clone"), CLONE).await;
    assert_eq!(clone.unwrap(), CLONE);
    rounds.round().await;
    let state = manifests.refresh(CLONE).await.unwrap();
    assert!(!state.has_blocks_of(TENANT) && state.blocks.len() == 1);
    assert!(objects(&bucket, CLONE).await > 0);
    assert_eq!(ask(&bucket, &manifests, CLONE).await, expected);

    // Queries over the clone may still read the old ones.
    rounds.round().await;
    assert!(objects(&bucket, TENANT).await > before);

    for _ in 0..3 {
        clock.advance(HOUR);
        rounds.round().await;
    }
    let home = manifests.refresh(TENANT).await.unwrap();
    assert!(home.snapshots.is_empty());
    assert_eq!(
        objects(&bucket, TENANT).await,
        objects(&bucket, CLONE).await
    );

    for tenant in [TENANT, CLONE] {
        assert_eq!(ask(&bucket, &manifests, tenant).await, expected);
    }
}

#[tokio::test]
async fn a_clone_that_never_came_holds_nothing() {
    let (bucket, process) = flushed().await;
    let manifests = process.manifests.clone();
    let clock = Arc::clone(&process.clock);
    begin(&manifests).await;

    let rounds = process.into_rounds(true, Account::unbounded()).await;
    for _ in 0..28 {
        rounds.round().await;
        clock.advance(HOUR);
    }

    let home = manifests.refresh(TENANT).await.unwrap();
    assert!(home.snapshots.is_empty());
    let left = bucket.list(&keys::tenant(CLONE), None).await.unwrap();
    assert_eq!(left.len(), 0, "its manifest");
    let blocks = home.blocks.values();
    let files: usize = blocks.map(|entry| entry.stats.files.len() + 1).sum();
    assert_eq!(objects(&bucket, TENANT).await, files);
}

#[tokio::test]
async fn what_a_clone_needs_of_a_deleted_home_stays() {
    let store_clock = MockClock::at(OVER_MS);
    let bucket = Bucket::memory(Arc::clone(&store_clock) as _);
    let process = flushed_into(&bucket).await;
    let manifests = process.manifests.clone();
    let clock = Arc::clone(&process.clock);
    let expected = ask(&bucket, &manifests, TENANT).await;
    begin(&manifests).await;

    let worker = Worker::new(bucket.clone(), &*clock);
    let settings = CollectorSettings {
        age: 24 * HOUR,
        grace: HOUR,
        slots: 100,
    };
    let rounds = process.into_rounds(true, Account::unbounded()).await;
    rounds
        .register
        .restore(&name("clone"), CLONE)
        .await
        .unwrap();
    let replaced = rounds.state.replaced().clone();
    let named = rounds.state.named().clone();
    let collector = Collector::new(
        bucket.clone(),
        manifests.clone(),
        worker,
        settings,
        replaced,
        named,
    );
    let cycles = Cycles::new(collector, Arc::clone(&rounds.register), Metrics::default());

    rounds.register.delete(&name("anonymous")).await.unwrap();
    // The store of these tests has the time of the machine, which is long after.
    cycles.cycle().await;
    assert!(objects(&bucket, TENANT).await > 0);
    assert_eq!(ask(&bucket, &manifests, CLONE).await, expected);

    clock.advance(HOUR);
    store_clock.advance(HOUR);
    cycles.cycle().await;
    assert!(objects(&bucket, TENANT).await > 0);
    assert_eq!(ask(&bucket, &manifests, CLONE).await, expected);

    // Once the clone has merged, queries over it may still read the blocks of the home.
    let before = manifests.refresh(CLONE).await.unwrap();
    rounds.round().await;
    cycles.cycle().await;
    assert!(
        !manifests
            .refresh(CLONE)
            .await
            .unwrap()
            .has_blocks_of(TENANT)
    );
    assert_eq!(query_of(&bucket, CLONE, &before).await, expected);

    // Then nothing is left of the home.
    clock.advance(HOUR);
    store_clock.advance(HOUR);
    cycles.cycle().await;
    let left = bucket.list(&keys::tenant(TENANT), None).await.unwrap();
    assert_eq!(left.len(), 0);
    assert_eq!(ask(&bucket, &manifests, CLONE).await, expected);
}

#[tokio::test]
async fn a_clone_deletes_nothing_of_its_home() {
    let (bucket, process) = flushed().await;
    let manifests = process.manifests.clone();
    let clock = Arc::clone(&process.clock);
    let expected = ask(&bucket, &manifests, TENANT).await;
    begin(&manifests).await;

    // Nobody looks after the home.
    let rounds = process.into_rounds(true, Account::unbounded()).await;
    rounds.register.delete(&name("anonymous")).await.unwrap();
    rounds
        .register
        .restore(&name("clone"), CLONE)
        .await
        .unwrap();

    for _ in 0..4 {
        rounds.round().await;
        clock.advance(HOUR);
    }

    let clone = manifests.refresh(CLONE).await.unwrap();
    assert!(!clone.has_blocks_of(TENANT));
    assert_eq!(ask(&bucket, &manifests, TENANT).await, expected);
}

#[tokio::test]
async fn a_damaged_clone_does_not_stop_its_home() {
    let (bucket, process) = flushed().await;
    let manifests = process.manifests.clone();
    let clock = Arc::clone(&process.clock);
    begin(&manifests).await;

    let slots = bucket.list(&keys::manifest(CLONE), None).await.unwrap();
    bucket.put(&slots[0].location, "damaged").await.unwrap();

    // A process that has not read the clone before.
    let other = Process::new(&bucket, 3, OVER_MS, Policy::default(), 100);
    let rounds = other.into_rounds(true, Account::unbounded()).await;
    rounds
        .register
        .restore(&name("clone"), CLONE)
        .await
        .unwrap();
    let before = objects(&bucket, TENANT).await;

    for _ in 0..3 {
        rounds.round().await;
        clock.advance(HOUR);
    }

    // The home is merged, and keeps what the clone may need.
    let home = manifests.refresh(TENANT).await.unwrap();
    assert_eq!((home.blocks.len(), home.snapshots.len()), (1, 1));
    assert!(objects(&bucket, TENANT).await > before);
}
