//! Files of each version stay readable, and today's writer still makes the text of its own version.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use std::sync::Arc;

use bytes::Bytes;
use duramen_bucket::{Author, chain};
use duramen_manifest::object::{Base, SnapshotReader, Tail, encode_snapshot};
use duramen_manifest::{AskedDeletion, Commit, Edit, Gone, State, Tombstones};
use duramen_model::{BlockId, Deletion, Matcher, TimeRange, ValueTest};
use object_store::path::Path;
use ulid::Ulid;

use crate::values::{TENANT, compaction, flush, identity, sibling};

fn author(attempt: u128) -> Author {
    Author {
        writer: identity(7, 2).writer,
        attempt: Ulid(attempt),
    }
}

fn edits() -> Vec<Edit> {
    vec![
        Edit::fence(identity(7, 2), author(1)),
        Edit::commit(identity(7, 2), author(2), flush(identity(7, 2), 1)),
        Edit::commit(identity(7, 2), author(3), flush(identity(7, 2), 2)),
        Edit::commit(
            identity(7, 2),
            author(4),
            compaction(99, &[7_000_001, 7_000_002]),
        ),
    ]
}

/// Makes an edit with two siblings whose entries have every field.
fn everything() -> Edit {
    let entry = |id, first, last| {
        let mut entry = sibling(1, id, first, last);

        entry.resolution_ms = Some(300_000);
        entry.retention = "short".to_owned();
        entry.home = Some(TENANT);
        entry.order.max.flush = 9;

        let stats = &mut entry.stats;
        (
            stats.histograms,
            stats.exemplars,
            stats.families,
            stats.ttl_max_ms,
        ) = (30, 20, 10, 90_000);

        entry
    };

    let siblings = vec![entry(5, "a", "http_\"x\""), entry(6, "http_\"x\"", "up")];
    Edit::commit(
        identity(7, 2),
        author(4),
        Commit::replace(Vec::new(), siblings),
    )
}

/// Makes an edit with the changes that version 2 adds.
fn of_version_2() -> Edit {
    let block = BlockId(Ulid(99));
    let commit = Commit {
        quarantine: Commit::quarantine(block, "checksum mismatch in samples.parquet").quarantine,
        ..Commit::horizon(BlockId(Ulid(50)))
    };

    Edit::commit(identity(7, 2), author(5), commit)
}

/// Makes an edit with a deletion, which version 3 adds.
fn of_version_3() -> Edit {
    let asked = AskedDeletion {
        id: Ulid(70),
        deletion: Arc::new(Deletion {
            selectors: vec![
                vec![
                    Matcher::equal("__name__", "up"),
                    Matcher::regex("job", "a|b").unwrap(),
                ],
                vec![
                    Matcher::not_equal("a", ""),
                    Matcher::not_regex("b", "x.*").unwrap(),
                ],
            ],
            range: TimeRange::closed(1_000, 1_999).unwrap(),
            value: ValueTest::parse("> 0.5"),
        }),
        author: "operator".to_owned(),
        at_ms: 1_700_000_000_000,
        positions: BTreeMap::from([(identity(7, 2).writer, 500)]),
    };

    Edit::commit(identity(7, 2), author(6), Commit::delete(asked))
}

/// Makes an edit with a named snapshot, which version 4 adds.
fn of_version_4() -> Edit {
    Edit::commit(identity(7, 2), author(10), Commit::snapshot("before-2027"))
}

/// Makes the edits of what becomes of the deletion.
fn after_a_deletion() -> Vec<Edit> {
    let gone = Tombstones {
        gone: Some(Gone {
            at_ms: 1_700_000_100_000,
            blocks: vec![BlockId(Ulid(7_000_001))],
            deletions: Vec::new(),
        }),
        clean: 5,
        ..Tombstones::default()
    };

    let commits = [
        compaction(99, &[7_000_001, 7_000_002]).applying(4),
        flush(identity(7, 2), 9),
        Commit::tombstones(gone),
    ];

    let edits = commits.into_iter().zip(7..);
    edits
        .map(|(commit, attempt)| Edit::commit(identity(7, 2), author(attempt), commit))
        .collect()
}

fn state() -> State {
    let mut state = State::default();
    for edit in &edits()[..3] {
        state.apply(edit).unwrap();
    }

    state
}

/// Returns the object in a file, which has the text of `today`. With `DURAMEN_BLESS`, it is written
/// first. Its bytes may differ, because another version of zstd may pack the text in another way.
fn golden(name: &str, today: &Bytes) -> Bytes {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/golden/v1", name]
        .iter()
        .collect();

    if std::env::var_os("DURAMEN_BLESS").is_some() {
        fs::write(&path, today).unwrap();
    }

    let bytes = Bytes::from(fs::read(path).unwrap());
    assert_eq!(text(&bytes), text(today));

    bytes
}

/// Returns the JSON of an object as `tail -n +2 OBJECT | zstd -d` prints it.
fn text(object: &[u8]) -> String {
    let line = object.iter().position(|byte| *byte == b'\n').unwrap();
    let text = zstd::decode_all(&object[line + 1..]).unwrap();
    String::from_utf8(text).unwrap()
}

fn tails() -> Vec<(&'static str, u64, Tail)> {
    let all: Vec<_> = edits().into_iter().map(Into::into).collect();
    let base = Base {
        sequence: 2,
        key: "t/x/manifest-snapshots/y".to_owned(),
    };

    let tail = |base, edits| Tail {
        reader_version_min: 0,
        base,
        edits,
    };

    vec![
        ("first", 4, tail(None, all.clone())),
        ("on-a-snapshot", 4, tail(Some(base), all[2..].to_vec())),
        ("all-fields", 1, tail(None, vec![everything().into()])),
        ("version-2", 5, of_version_2_on(all.clone())),
        ("version-3", 7, of_version_3_on(all[..3].to_vec())),
        ("version-4", 5, of_version_4_on(all.clone())),
    ]
}

/// Makes the object of an edit of version 2 after others.
fn of_version_2_on(mut edits: Vec<Arc<Edit>>) -> Tail {
    edits.push(of_version_2().into());

    Tail {
        reader_version_min: 2,
        base: None,
        edits,
    }
}

/// Makes the object of edits of version 3 after others.
fn of_version_3_on(mut edits: Vec<Arc<Edit>>) -> Tail {
    edits.push(of_version_3().into());
    edits.extend(after_a_deletion().into_iter().map(Arc::new));

    Tail {
        reader_version_min: 3,
        base: None,
        edits,
    }
}

/// Makes the object of an edit of version 4 after others.
fn of_version_4_on(mut edits: Vec<Arc<Edit>>) -> Tail {
    edits.push(of_version_4().into());

    Tail {
        reader_version_min: 4,
        base: None,
        edits,
    }
}

#[test]
fn objects_are_written_and_read() {
    for (name, slot, tail) in tails() {
        let key = Path::from(name);
        let body = tail.encode(&key).unwrap();
        let bytes = golden(name, &chain::encode(slot, author(4), &body));
        let entry = chain::decode(&key, slot, &bytes).unwrap();

        assert_eq!(entry.author, author(4));
        assert_eq!(Tail::decode(&key, slot, &entry.body).unwrap(), tail);
    }
}

#[test]
fn snapshots_of_version_1_are_written_and_read() {
    let key = Path::from("snapshot");
    let bodies = encode_snapshot(&state(), 1 << 20, key.clone(), |_| key.clone()).unwrap();
    let bytes = golden("snapshot", &chain::encode(3, author(9), &bodies.first.1));

    let entry = chain::decode(&key, 3, &bytes).unwrap();
    let reader = SnapshotReader::open(&key, 3, &entry.body).unwrap();
    assert_eq!(reader.finish().unwrap(), state());
}

#[test]
fn snapshots_of_version_2_are_written_and_read() {
    let mut state = state();
    state.apply(&edits()[3]).unwrap();
    state.apply(&of_version_2()).unwrap();

    let key = Path::from("snapshot");
    let bodies = encode_snapshot(&state, 1 << 20, key.clone(), |_| key.clone()).unwrap();
    let bytes = golden(
        "snapshot-version-2",
        &chain::encode(5, author(9), &bodies.first.1),
    );

    let entry = chain::decode(&key, 5, &bytes).unwrap();
    let reader = SnapshotReader::open(&key, 5, &entry.body).unwrap();
    assert_eq!(reader.finish().unwrap(), state);
}

#[test]
fn snapshots_of_version_3_are_written_and_read() {
    let mut state = state();
    state.apply(&of_version_3()).unwrap();
    for edit in &after_a_deletion()[..2] {
        state.apply(edit).unwrap();
    }

    assert_eq!(state.deletions.remains.len(), 1);
    let key = Path::from("snapshot");
    let bodies = encode_snapshot(&state, 1 << 20, key.clone(), |_| key.clone()).unwrap();
    let bytes = golden(
        "snapshot-version-3",
        &chain::encode(6, author(9), &bodies.first.1),
    );

    let entry = chain::decode(&key, 6, &bytes).unwrap();
    let reader = SnapshotReader::open(&key, 6, &entry.body).unwrap();
    assert_eq!(reader.finish().unwrap(), state);
}

#[test]
fn snapshots_of_version_4_are_written_and_read() {
    let mut state = state();
    state.apply(&of_version_4()).unwrap();
    assert_eq!(state.snapshots["before-2027"], 4);

    let key = Path::from("snapshot");
    let bodies = encode_snapshot(&state, 1 << 20, key.clone(), |_| key.clone()).unwrap();
    let bytes = golden(
        "snapshot-version-4",
        &chain::encode(4, author(9), &bodies.first.1),
    );

    let entry = chain::decode(&key, 4, &bytes).unwrap();
    let reader = SnapshotReader::open(&key, 4, &entry.body).unwrap();
    assert_eq!(reader.finish().unwrap(), state);
}

#[test]
fn a_person_can_read_an_object() {
    let (name, slot, tail) = tails().remove(0);
    let object = chain::encode(slot, author(4), &tail.encode(&Path::from(name)).unwrap());
    let value: serde_json::Value = serde_json::from_str(&text(&object)).unwrap();
    let edit = &value["edits"][1];

    assert_eq!(edit["changes"]["flush"]["position"], 100);
    assert_eq!(edit["changes"]["replace"]["add"]["min_ts_ms"][0], 1_000);
    assert_eq!(
        edit["changes"]["replace"]["add"]["file_sets"][0][1],
        "samples.parquet"
    );
}
