//! Files of each version stay readable, and today's writer still makes those of its own version.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use duramen_bucket::{Author, chain};
use duramen_manifest::object::{Base, Tail, decode_snapshot, encode_snapshot};
use duramen_manifest::{Edit, State};
use object_store::path::Path;
use ulid::Ulid;

use crate::values::{added, compaction, flush, identity};

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

/// Makes an edit with a block that has histograms, exemplars, families and life spans.
fn everything() -> Edit {
    let mut commit = flush(identity(7, 2), 1);
    let stats = &mut added(&mut commit).stats;

    (
        stats.histograms,
        stats.exemplars,
        stats.families,
        stats.ttl_max_ms,
    ) = (30, 20, 10, 90_000);

    Edit::commit(identity(7, 2), author(4), commit)
}

fn state() -> State {
    let mut state = State::default();
    for edit in &edits()[..3] {
        state.apply(edit).unwrap();
    }

    state
}

/// Returns the bytes of a file. With `DURAMEN_BLESS`, it is written first.
fn golden(name: &str, today: &[u8]) -> Bytes {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/golden/v0", name]
        .iter()
        .collect();
    if std::env::var_os("DURAMEN_BLESS").is_some() {
        fs::write(&path, today).unwrap();
    }

    let bytes = Bytes::from(fs::read(path).unwrap());
    assert_eq!(
        String::from_utf8_lossy(&bytes),
        String::from_utf8_lossy(today)
    );

    bytes
}

#[test]
fn objects_of_version_0_are_written_and_read() {
    let base = Base {
        sequence: 2,
        key: "t/x/manifest-snapshots/y".to_owned(),
    };

    let all = edits().into_iter().map(Into::into).collect::<Vec<_>>();

    for (name, slot, tail) in [
        (
            "first",
            4,
            Tail {
                reader_version_min: 0,
                base: None,
                edits: all.clone(),
            },
        ),
        (
            "on-a-snapshot",
            4,
            Tail {
                reader_version_min: 0,
                base: Some(base),
                edits: all[2..].to_vec(),
            },
        ),
        (
            "all-that-is-counted",
            1,
            Tail {
                reader_version_min: 0,
                base: None,
                edits: vec![everything().into()],
            },
        ),
    ] {
        let key = Path::from(name);
        let bytes = golden(name, &chain::encode(slot, author(4), &tail.encode()));
        let entry = chain::decode(&key, slot, &bytes).unwrap();
        assert_eq!(entry.author, author(4));
        assert_eq!(Tail::decode(&key, slot, &entry.body).unwrap(), tail);
    }
}

#[test]
fn snapshots_of_version_0_are_written_and_read() {
    let bytes = golden(
        "snapshot",
        &chain::encode(
            3,
            author(9),
            &encode_snapshot(&state(), 1 << 20, |_| Path::from("part")).first,
        ),
    );

    let entry = chain::decode(&Path::from("snapshot"), 3, &bytes).unwrap();
    assert_eq!(
        decode_snapshot(&Path::from("snapshot"), 3, &entry.body, &[]).unwrap(),
        state()
    );
}
