//! Bytes that our writers never make.

use duramen_manifest::object::{Tail, decode_snapshot};
use duramen_manifest::{Edit, Error, State};
use object_store::path::Path;
use proptest::prelude::*;

use crate::values::{block, flush, identity};

fn key() -> Path {
    Path::from("t/x/manifest/1")
}

fn tail() -> String {
    let author = duramen_bucket::Author {
        writer: identity(1, 1).writer,
        attempt: ulid::Ulid(3),
    };

    let edit = Edit::commit(identity(1, 1), author, flush(identity(1, 1), 1));
    let tail = Tail {
        reader_version_min: 0,
        base: None,
        edits: vec![edit.into()],
    };

    String::from_utf8(tail.encode()).unwrap()
}

#[test]
fn what_a_later_version_adds_is_kept_if_it_lets_us_read() {
    let later = tail().replacen("\"kind\"", "\"tombstones\":[{\"x\":1}],\"kind\"", 1);
    let read = Tail::decode(&key(), 1, later.as_bytes()).unwrap();

    assert!(read.edits[0].other.contains_key("tombstones"));
    assert!(
        String::from_utf8(read.encode())
            .unwrap()
            .contains("\"tombstones\":[{\"x\":1}]")
    );
}

#[test]
fn what_a_later_version_forbids_is_not_read() {
    let edit = tail().replacen("\"kind\"", "\"reader_version_min\":2,\"kind\"", 1);
    let object = r#"{"reader_version_min": 7, "what": "ever"}"#;

    for (body, asked) in [(edit.as_str(), 2), (object, 7)] {
        let error = Tail::decode(&key(), 1, body.as_bytes()).unwrap_err();
        assert!(
            matches!(error, Error::Version { needed, .. } if needed == asked),
            "{error}"
        );
    }

    let error = decode_snapshot(&key(), 1, object.as_bytes(), &[]).unwrap_err();
    assert!(matches!(error, Error::Version { needed: 7, .. }), "{error}");
}

#[test]
fn a_block_that_cannot_be_is_refused() {
    let faults: [fn(&mut duramen_model::BlockEntry); 7] = [
        |b| b.stats.max_ts_ms = b.stats.min_ts_ms - 1,
        |b| b.stats.max_ts_ms = i64::MAX,
        |b| b.stats.ttl_max_ms = -1,
        |b| b.stats.files[0].name = "../../x".to_owned(),
        |b| b.stats.files[0].name = String::new(),
        |b| b.stats.files[0].bytes = u64::MAX,
        |b| b.order.max.opened = 0,
    ];

    for (n, fault) in faults.into_iter().enumerate() {
        let mut entry = block(1);
        fault(&mut entry);

        let author = duramen_bucket::Author {
            writer: identity(1, 1).writer,
            attempt: ulid::Ulid(3),
        };

        let commit = duramen_manifest::Commit::replace(Vec::new(), vec![entry]);

        let mut state = State::default();
        assert!(
            state
                .apply(&Edit::commit(identity(1, 1), author, commit))
                .is_err(),
            "fault {n}"
        );

        assert_eq!(state, State::default());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_object_or_an_error(bytes: Vec<u8>) {
        let _ = Tail::decode(&key(), 1, &bytes);
        let _ = decode_snapshot(&key(), 1, &bytes, &[]);
    }

    #[test]
    fn any_text_that_looks_right_is_an_object_or_an_error(
        at in 0_usize..900, cut in 0_usize..40, paste in "[\\[\\]{}:,\"0-9a-z.e-]{0,20}", sequence: u64
    ) {
        let mut text = tail();
        let at = at.min(text.len());
        text.replace_range(at..(at + cut).min(text.len()), &paste);

        if let Ok(tail) = Tail::decode(&key(), 1, text.as_bytes()) {
            let mut state = State::default();
            for edit in &tail.edits {
                let _ = state.apply(edit);
            }

            for entry in state.blocks.values() {
                // These would panic for an entry that should have been refused.
                entry.stats.range();
                entry.stats.bytes();
            }
        }

        let _ = Tail::decode(&key(), sequence, text.as_bytes());
        let _ = decode_snapshot(&key(), 1, text.as_bytes(), &[]);
    }
}

#[test]
fn deep_nesting_is_an_error() {
    let deep = "[".repeat(1 << 20);
    assert!(Tail::decode(&key(), 1, deep.as_bytes()).is_err());

    let hidden = tail().replacen(
        "\"kind\"",
        &format!("\"tombstones\":{deep}{},\"kind\"", "]".repeat(1 << 20)),
        1,
    );

    assert!(Tail::decode(&key(), 1, hidden.as_bytes()).is_err());
}
