//! Every damage of the disk is found before a byte is served.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use duramen_cache::{EngineKind, Expected, Options, Wanted};

use crate::support::{ENGINES, OPTIONS, bytes, close, get, insert, key, open, try_open};

/// Files below `folder` that contain `payload`, with its place.
fn places(folder: &Path, payload: &[u8]) -> Vec<(PathBuf, usize)> {
    let mut found = Vec::new();

    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(places(&path, payload));
        } else {
            let contents = fs::read(&path).unwrap();
            let at = contents
                .windows(payload.len())
                .position(|part| part == payload);
            found.extend(at.map(|at| (path, at)));
        }
    }

    found
}

/// The one place of `payload`, which nothing else may contain.
fn place(folder: &Path, payload: &[u8]) -> (PathBuf, usize) {
    let mut places = places(folder, payload);
    assert_eq!(places.len(), 1);
    places.remove(0)
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());

        if path.is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&path, &to);
        } else {
            fs::copy(&path, to).unwrap();
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_and_a_cut_are_found_and_the_entry_can_be_written_again() {
    let options = Options {
        disk_bytes_max: 256 << 10,
        ..OPTIONS
    };

    for kind in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let payload = bytes(1, 60);
        let cache = try_open(folder.path(), kind, options).await.unwrap();
        insert(&cache, &key(1), &payload).await;
        close(cache).await;

        // An entry's header is before its payload; foyer has its own before that.
        let (path, at) = place(folder.path(), &payload);
        let whole = fs::read(&path).unwrap();
        let start = at.saturating_sub(120);
        let end = (at + payload.len() + 40).min(whole.len());
        let mut found = 0;

        for place in start..end {
            let mut flipped = whole.clone();
            flipped[place] ^= 1 << (place % 8);
            let mut cut = whole.clone();
            cut.truncate(place);

            for damaged in [flipped, cut] {
                let other = tempfile::tempdir().unwrap();
                copy(folder.path(), other.path());
                let copied = other.path().join(path.strip_prefix(folder.path()).unwrap());
                fs::write(copied, &damaged).unwrap();

                let cache = try_open(other.path(), kind, options).await.unwrap();
                if get(&cache, &key(1), &payload).await.is_none() {
                    found += 1;
                    // Where foyer's own index is damaged, the entry is not known at all.
                    let counted = cache.counts().damaged.get() == 1;
                    assert!(counted || kind == EngineKind::Foyer, "{kind:?}, {place}");

                    insert(&cache, &key(1), &payload).await;
                    let again = get(&cache, &key(1), &payload).await;
                    assert!(again.is_some(), "{kind:?}, {place}");
                }

                close(cache).await;
            }
        }

        // Bits beside the entry belong to nobody. The file of a plain entry has no such bits.
        let all = 2 * (end - start);
        let least = if kind == EngineKind::Files {
            all
        } else {
            2 * payload.len()
        };
        assert!((least..=all).contains(&found), "{kind:?}: {found} of {all}");
    }
}

#[tokio::test]
async fn exchanged_entries_are_found() {
    for kind in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let payloads = [bytes(1, 500), bytes(2, 500)];
        let cache = open(folder.path(), kind).await;

        for (part, payload) in (0..).zip(&payloads) {
            insert(&cache, &key(part), payload).await;
        }

        close(cache).await;

        // The whole entries, with what foyer puts before them.
        let [(a, at_a), (b, at_b)] = [0, 1].map(|i: usize| place(folder.path(), &payloads[i]));
        let before = at_a.min(at_b).min(if a == b { 84 } else { usize::MAX });
        let part = |path: &Path, at: usize| fs::read(path).unwrap()[at - before..at + 500].to_vec();
        let (part_a, part_b) = (part(&a, at_a), part(&b, at_b));

        for (path, at, part) in [(&a, at_a, &part_b), (&b, at_b, &part_a)] {
            let mut contents = fs::read(path).unwrap();
            contents[at - before..at + 500].copy_from_slice(part);
            fs::write(path, contents).unwrap();
        }

        let cache = open(folder.path(), kind).await;
        for (part, payload) in (0..).zip(&payloads) {
            assert_eq!(get(&cache, &key(part), payload).await, None, "{kind:?}");
        }

        assert_eq!(cache.counts().damaged.get(), 2, "{kind:?}");
        close(cache).await;
    }
}

#[tokio::test]
async fn an_entry_with_other_bytes_than_the_reader_expects_is_dropped() {
    for kind in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let cache = open(folder.path(), kind).await;
        let old = bytes(1, 500);
        insert(&cache, &key(1), &old).await;

        let expected = Expected::of(&bytes(2, 500));
        let wanted = Wanted {
            key: key(1),
            expected,
        };

        assert_eq!(cache.get(std::slice::from_ref(&wanted)).await, [None]);
        assert_eq!(cache.counts().damaged.get(), 1, "{kind:?}");

        assert_eq!(cache.get(&[wanted]).await, [None]);
        assert_eq!(cache.counts().damaged.get(), 1, "{kind:?}: it was dropped");

        let new: Bytes = bytes(2, 500);
        insert(&cache, &key(1), &new).await;
        assert_eq!(get(&cache, &key(1), &new).await, Some(new), "{kind:?}");
    }
}

#[tokio::test]
async fn a_folder_of_noise_is_a_cache_without_entries() {
    for kind in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let cache = open(folder.path(), kind).await;
        let payload = bytes(1, 20_000);

        for part in 0..20 {
            insert(&cache, &key(part), &payload).await;
        }

        close(cache).await;
        for (seed, (path, _)) in (0..).zip(places(folder.path(), &payload)) {
            let length = fs::metadata(&path).unwrap().len();
            fs::write(&path, bytes(seed, usize::try_from(length).unwrap())).unwrap();
        }

        let cache = open(folder.path(), kind).await;
        for part in 0..20 {
            assert_eq!(get(&cache, &key(part), &payload).await, None, "{kind:?}");
        }

        insert(&cache, &key(30), &payload).await;
        assert!(get(&cache, &key(30), &payload).await.is_some(), "{kind:?}");
    }
}
