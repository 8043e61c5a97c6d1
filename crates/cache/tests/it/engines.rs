//! What every engine promises.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use duramen_cache::{EngineKind, Expected, Key, Options, Wanted};

use crate::support::{ENGINES, OPTIONS, bytes, close, get, insert, key, open, try_open};

#[tokio::test]
async fn what_is_inserted_is_found_again_also_after_a_restart() {
    for kind in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let cache = open(folder.path(), kind).await;

        for part in 0..20 {
            let bytes = bytes(u64::from(part), 1000 * part as usize);
            assert_eq!(get(&cache, &key(part), &bytes).await, None);
            insert(&cache, &key(part), &bytes).await;
            assert!(
                get(&cache, &key(part), &bytes).await.is_some(),
                "{kind:?}, {part}"
            );
        }

        assert_eq!(cache.counts().hits.get(), 20);
        assert_eq!(cache.counts().misses.get(), 20);
        assert_eq!(cache.counts().inserted.get(), 20);
        close(cache).await;

        let cache = open(folder.path(), kind).await;
        let wanted: Vec<_> = (0..25)
            .map(|part| Wanted {
                key: key(part),
                expected: Expected::of(&bytes(u64::from(part), 1000 * part as usize)),
            })
            .collect();

        let found = cache.get(&wanted).await;
        let lengths: Vec<_> = found
            .iter()
            .map(|found| found.as_ref().map(|f| f.len()))
            .collect();
        let expected: Vec<_> = (0..25)
            .map(|part| (part < 20).then_some(1000 * part))
            .collect();
        assert_eq!(lengths, expected, "{kind:?}");
        assert_eq!(cache.counts().damaged.get(), 0);
    }
}

#[tokio::test]
async fn no_tenant_and_no_part_finds_the_bytes_of_another() {
    for kind in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let cache = open(folder.path(), kind).await;
        let secret = bytes(1, 100);
        insert(&cache, &Key::new("t/a/blocks/b", 1, 2), &secret).await;

        for other in [
            Key::new("t/b/blocks/b", 1, 2),
            Key::new("t/a/blocks/c", 1, 2),
            Key::new("t/a/blocks/b", 2, 1),
            Key::new("t/a/blocks/b", 0, 2),
        ] {
            assert_eq!(get(&cache, &other, &secret).await, None, "{kind:?}");
        }

        assert!(
            get(&cache, &Key::new("t/a/blocks/b", 1, 2), &secret)
                .await
                .is_some()
        );
    }
}

/// What the files of a folder take of the disk.
fn disk_bytes(folder: &Path) -> u64 {
    let inner = |entry: std::fs::DirEntry| {
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            disk_bytes(&entry.path())
        } else {
            metadata.blocks() * 512
        }
    };

    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| inner(entry.unwrap())).sum()
}

#[tokio::test]
async fn the_disk_is_bounded_and_what_is_new_is_kept() {
    for kind in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let cache = open(folder.path(), kind).await;
        let bytes = bytes(1, 10_000);

        for part in 0..2000 {
            insert(&cache, &key(part), &bytes).await;
        }

        // The lock and the form take a block each.
        let taken = disk_bytes(folder.path());
        assert!(taken <= OPTIONS.disk_bytes_max + 8192, "{kind:?}: {taken}");
        assert!(taken >= OPTIONS.disk_bytes_max / 4, "{kind:?}: {taken}");
        assert!(
            cache.held().evictions > 1000,
            "{kind:?}: {:?}",
            cache.held()
        );

        let mut kept = 0;
        for part in 1980..2000 {
            kept += u32::from(get(&cache, &key(part), &bytes).await.is_some());
        }

        assert_eq!(kept, 20, "{kind:?}");
        assert_eq!(get(&cache, &key(0), &bytes).await, None);

        // A smaller bound holds from the next start on.
        close(cache).await;
        let smaller = Options {
            disk_bytes_max: 1 << 20,
            ..OPTIONS
        };

        let _cache = try_open(folder.path(), kind, smaller).await.unwrap();
        let taken = disk_bytes(folder.path());
        assert!(taken <= smaller.disk_bytes_max + 8192, "{kind:?}: {taken}");
    }
}

#[tokio::test]
async fn a_scan_does_not_push_out_what_is_used_often() {
    for kind in ENGINES {
        for by_touch in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let cache = open(folder.path(), kind).await;
            let bytes = bytes(1, 10_000);

            for part in 0..40 {
                insert(&cache, &key(part), &bytes).await;
            }

            // Five times the cache, which reads everything once. The others are used all the time.
            for part in 1000..2600 {
                insert(&cache, &key(part), &bytes).await;

                if part % 100 == 0 {
                    for hot in 0..40 {
                        if by_touch {
                            cache.touch(&key(hot));
                        } else {
                            get(&cache, &key(hot), &bytes).await;
                        }
                    }
                }
            }

            let mut kept = 0;
            for hot in 0..40 {
                kept += u32::from(get(&cache, &key(hot), &bytes).await.is_some());
            }

            // Foyer loses a few when it writes a region again.
            let least = if kind == EngineKind::Files { 40 } else { 30 };
            assert!(kept >= least, "{kind:?}, {by_touch}: {kept}");
        }
    }
}

#[tokio::test]
async fn an_entry_that_is_too_large_is_not_kept() {
    for kind in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let cache = open(folder.path(), kind).await;
        let small = bytes(1, 1000);
        let large = bytes(2, duramen_cache::ENTRY_BYTES_MAX);

        insert(&cache, &key(1), &small).await;
        insert(&cache, &key(2), &large).await;

        assert_eq!(get(&cache, &key(2), &large).await, None, "{kind:?}");
        assert!(get(&cache, &key(1), &small).await.is_some(), "{kind:?}");
    }
}

#[tokio::test]
async fn what_a_scan_reads_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path(), EngineKind::Files).await;

    assert!(cache.admits(OPTIONS.disk_bytes_max / 16));
    assert!(!cache.admits(OPTIONS.disk_bytes_max / 16 + 1));
}
