//! Who may use a folder, and what becomes of its contents.

use std::fs;

use duramen_cache::{EngineKind, FolderError};

use crate::support::{ENGINES, OPTIONS, bytes, close, get, insert, key, open, try_open};

#[tokio::test]
async fn two_caches_never_share_a_folder() {
    for kind in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let cache = open(folder.path(), kind).await;

        for other in ENGINES {
            let refused = try_open(folder.path(), other, OPTIONS).await.unwrap_err();
            assert!(matches!(refused, FolderError::Held { .. }), "{refused}");
        }

        close(cache).await;
        close(open(folder.path(), kind).await).await;
    }
}

#[tokio::test]
async fn a_folder_of_another_version_or_engine_is_emptied() {
    for kind in ENGINES {
        for other in ["files 0", "foyer 0.23 1 1", ""] {
            let folder = tempfile::tempdir().unwrap();
            let payload = bytes(1, 500);
            let cache = open(folder.path(), kind).await;
            insert(&cache, &key(1), &payload).await;
            close(cache).await;

            fs::write(folder.path().join("duramen-cache"), other).unwrap();
            fs::write(folder.path().join("entries/unknown"), "of another version").unwrap();

            let cache = open(folder.path(), kind).await;
            assert_eq!(get(&cache, &key(1), &payload).await, None, "{kind:?}");
            assert!(!folder.path().join("entries/unknown").exists());

            insert(&cache, &key(1), &payload).await;
            close(cache).await;

            let cache = open(folder.path(), kind).await;
            assert!(get(&cache, &key(1), &payload).await.is_some(), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn a_folder_with_other_files_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letter.txt"), "dear").unwrap();

    let refused = try_open(folder.path(), EngineKind::Files, OPTIONS)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, FolderError::NotACache { .. }),
        "{refused}"
    );
    assert_eq!(
        fs::read_to_string(folder.path().join("letter.txt")).unwrap(),
        "dear"
    );
}

#[tokio::test]
async fn files_that_no_cache_writes_are_removed_or_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let payload = bytes(1, 500);
    let cache = open(folder.path(), EngineKind::Files).await;
    insert(&cache, &key(1), &payload).await;
    close(cache).await;

    let entries = folder.path().join("entries");
    let odd = entries.join("00");
    let _ = fs::create_dir(&odd);
    fs::create_dir_all(entries.join("odd/odd")).unwrap();

    let digest = "0".repeat(32);
    let names = [
        "torn".to_owned(),
        format!("{digest}-{}-ffffffff", "0".repeat(16)),
        format!("{digest}-{}-00000001", "f".repeat(16)),
        format!("f{}-{}-00000001", "0".repeat(31), "0".repeat(16)),
    ];

    for name in &names {
        fs::write(odd.join(name), "x").unwrap();
    }

    let cache = open(folder.path(), EngineKind::Files).await;
    assert_eq!(cache.held().entries, 1);
    assert!(names.iter().all(|name| !odd.join(name).exists()));
    assert!(get(&cache, &key(1), &payload).await.is_some());
}
