//! What an inventory finds, and with how many requests.

use std::time::Duration;

use duramen_block::META_FILE;
use duramen_bucket::keys;
use duramen_compact::{Inventories, Inventory, Policy};
use duramen_manifest::Commit;
use duramen_runtime::{Clock, MockClock};
use duramen_testkit::store::SimStore;

use crate::collect::{bucket_of, flush_a_day, process, upload};
use crate::entries::DAY_MS;
use crate::store::{Process, TENANT};

const NOW_MS: i64 = 2 * DAY_MS;
const DAY: Duration = Duration::from_hours(24);

async fn taken(process: &Process, store: &SimStore) -> Inventory {
    let inventories = Inventories {
        bucket: process.bucket.clone(),
        manifests: process.manifests.clone(),
        age: DAY,
    };

    inventories
        .of(TENANT, store.clock().now_ms())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_whole_tenant_takes_one_list_and_no_head() {
    let store = SimStore::new(MockClock::at(NOW_MS));
    let mut writer = process(&store, 1);
    flush_a_day(&mut writer).await;
    let client = store.client();
    let bucket = bucket_of(&client, store.clock());
    let looking = Process::new(&bucket, 2, NOW_MS, Policy::default(), 100);
    looking.manifests.refresh(TENANT).await.unwrap();

    client.reset_counts();
    let inventory = taken(&looking, &store).await;
    let counts = client.counts();

    assert!(inventory.is_whole(), "{inventory:?}");
    assert_eq!((inventory.blocks, inventory.objects), (4, 12));
    assert_eq!((inventory.lists, inventory.heads), (1, 0));
    assert_eq!((inventory.unnamed.len(), inventory.strangers.len()), (0, 0));
    // One GET that finds no new edit.
    assert_eq!((counts.lists, counts.gets, counts.puts), (1, 1, 0));
}

#[tokio::test]
async fn the_blocks_of_a_named_snapshot_belong_to_the_tenant() {
    let store = SimStore::new(MockClock::at(NOW_MS));
    let mut writer = process(&store, 1);
    flush_a_day(&mut writer).await;

    let commit = async |commit| writer.manifests.commit(TENANT, commit).await.unwrap();
    let state = commit(Commit::snapshot("kept")).await;
    let ids: Vec<_> = state.blocks.keys().copied().collect();
    commit(Commit::replace(ids, Vec::new())).await;

    let inventory = taken(&writer, &store).await;
    assert!(inventory.is_whole(), "{inventory:?}");
    assert_eq!((inventory.blocks, inventory.objects), (4, 12));
    assert_eq!(inventory.unnamed.len(), 0);

    commit(Commit::drop_snapshot("kept")).await;
    let inventory = taken(&writer, &store).await;
    assert_eq!((inventory.blocks, inventory.unnamed.len()), (0, 4));
}

#[tokio::test]
async fn what_is_missing_or_of_another_size_is_named() {
    let store = SimStore::new(MockClock::at(NOW_MS));
    let mut writer = process(&store, 1);
    flush_a_day(&mut writer).await;

    let state = writer.state().await;
    let entries: Vec<_> = state.blocks.values().cloned().collect();
    let gone = keys::block_file(TENANT, &entries[0], META_FILE);
    let cut = keys::block_file(TENANT, &entries[1], &entries[1].stats.files[0].name);
    let strange = keys::block(TENANT, &entries[2]).join("notes.txt");

    writer.bucket.delete(&gone).await.unwrap();
    writer.bucket.delete(&cut).await.unwrap();
    writer.bucket.put(&cut, "x".to_owned()).await.unwrap();
    writer.bucket.put(&strange, "x".to_owned()).await.unwrap();

    let inventory = taken(&process(&store, 2), &store).await;
    assert!(!inventory.is_whole());
    assert_eq!(inventory.missing, [gone.to_string()]);
    assert_eq!(inventory.strangers, [strange.to_string()]);
    assert_eq!((inventory.lists, inventory.heads), (1, 1));

    let [differs] = &inventory.differ[..] else {
        panic!("{inventory:?}");
    };
    assert_eq!((&*differs.key, differs.bytes), (cut.as_ref(), 1));
    assert_eq!(differs.named_bytes, entries[1].stats.files[0].bytes);
}

#[tokio::test]
async fn what_no_manifest_names_is_no_fault_and_is_told_with_its_age() {
    let store = SimStore::new(MockClock::at(NOW_MS));
    let mut writer = process(&store, 1);
    flush_a_day(&mut writer).await;
    let orphan = upload(&process(&store, 2), NOW_MS).await;

    for (after, is_young) in [(Duration::ZERO, true), (DAY, false)] {
        store.clock().advance(after);
        let inventory = taken(&process(&store, 3), &store).await;
        let [unnamed] = &inventory.unnamed[..] else {
            panic!("{inventory:?}");
        };

        assert!(inventory.is_whole());
        assert_eq!((unnamed.block, unnamed.is_young), (orphan.id, is_young));
        assert_eq!((unnamed.objects, unnamed.bytes), (3, orphan.stats.bytes()));
    }
}
