//! How a process opens its store: how many trips that takes, and what it knows after it.

use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::{Bucket, Config, DataDir, Opening, TakeOver, Tenants};
use duramen_model::{TenantName, WriterId};
use duramen_runtime::{RealDisk, SystemClock};
use duramen_testkit::store::Paced;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use tempfile::TempDir;
use tokio::time::Instant;
use ulid::Ulid;

/// A store of which each request takes a second, and the same store without delay.
struct World {
    paced: Bucket,
    direct: Bucket,
    directory: TempDir,
}

impl World {
    fn new() -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let over = |store: Arc<dyn ObjectStore>| {
            let clock = Arc::new(SystemClock::default());
            Bucket::over(store, "test".to_owned(), &Config::default(), clock)
        };

        Self {
            paced: over(Arc::new(Paced::new(Arc::clone(&store)))),
            direct: over(store),
            directory: TempDir::new().unwrap(),
        }
    }

    /// Opens the store and returns how many trips that took. The process ends at once.
    async fn open(&self) -> (Opening, u64) {
        let began = Instant::now();
        let clock = SystemClock::default();
        let mut data_dir =
            DataDir::open(Arc::new(RealDisk), self.directory.path(), &clock).unwrap();
        let opened = Opening::open(&self.paced, &mut data_dir, TakeOver::IfGone).await;

        (opened.unwrap(), began.elapsed().as_secs())
    }

    async fn add_tenant(&self, name: &str) {
        let tenants = Tenants::open(self.direct.clone(), WriterId(Ulid(7))).await;
        let name = TenantName::parse(name).unwrap();
        tenants.unwrap().resolve_or_create(&name).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_is_open_after_five_trips() {
    let world = World::new();
    world.open().await;
    world.add_tenant("one").await;

    let (opened, trips) = world.open().await;
    assert_eq!(trips, 5);
    assert_eq!(opened.tenants.count(), 1);

    let left = world.direct.list(&"probe".into(), None).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_the_former_holder_adds_during_the_start_is_known() {
    let world = World::new();
    world.open().await;

    let adding = async {
        // The register was read, and the store is not taken yet.
        #[expect(clippy::disallowed_methods, reason = "the clock of the test is paused")]
        tokio::time::sleep(Duration::from_millis(2_500)).await;

        world.add_tenant("late").await;
    };

    let ((opened, _), ()) = tokio::join!(world.open(), adding);
    let late = TenantName::parse("late").unwrap();
    assert!(opened.tenants.lookup(&late).is_some());
}
