//! Bytes that our writers never make.

use std::io::{Read, Write};

use duramen_bucket::Author;
use duramen_manifest::body::TEXT_BYTES_MAX;
use duramen_manifest::object::{PARTS_MAX, SnapshotReader, Tail, encode_snapshot};
use duramen_manifest::{Commit, Edit, Error, State, VERSION};
use duramen_model::{BlockId, Content, ErrorKind, METRIC_NAME_BYTES_MAX, NameBounds};
use object_store::path::Path;
use proptest::prelude::*;

use crate::values::{block, flush, identity, sibling};

fn key() -> Path {
    Path::from("t/x/manifest/1")
}

fn author() -> Author {
    Author {
        writer: identity(1, 1).writer,
        attempt: ulid::Ulid(3),
    }
}

/// Returns the text of an object with one flush.
fn tail() -> String {
    let edit = Edit::commit(identity(1, 1), author(), flush(identity(1, 1), 1));
    let tail = Tail {
        reader_version_min: 0,
        base: None,
        edits: vec![edit.into()],
    };

    let body = tail.encode(&key()).unwrap();
    String::from_utf8(zstd::decode_all(&*body).unwrap()).unwrap()
}

/// Returns the text of the snapshot after that flush.
fn snapshot() -> String {
    let mut state = State::default();
    let edit = Edit::commit(identity(1, 1), author(), flush(identity(1, 1), 1));
    state.apply(&edit).unwrap();

    let bodies = encode_snapshot(&state, 1 << 20, key(), |_| key()).unwrap();
    String::from_utf8(zstd::decode_all(&*bodies.first.1).unwrap()).unwrap()
}

fn pack(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 1).unwrap()
}

fn read_tail(text: &str) -> Result<Tail, Error> {
    Tail::decode(&key(), 1, &pack(text))
}

fn read_snapshot(text: &str) -> Result<State, Error> {
    SnapshotReader::open(&key(), 1, &pack(text))?.finish()
}

fn is_corrupt<T>(read: &Result<T, Error>) -> bool {
    matches!(read, Err(Error::Corrupt { .. }))
}

#[test]
fn an_optional_addition_of_a_later_version_is_kept() {
    let later = tail().replacen(
        "\"changes\"",
        "\"optional\":{\"note\":\"why\"},\"changes\"",
        1,
    );

    let read = read_tail(&later).unwrap();
    assert_eq!(read.edits[0].optional.get("note"), Some("why"));
    assert_eq!(
        read_tail(&tail()).unwrap().edits[0].optional.get("note"),
        None
    );

    let again = Tail::decode(&key(), 1, &read.encode(&key()).unwrap()).unwrap();
    assert_eq!(again, read);
}

#[test]
fn an_edit_has_few_optional_additions() {
    let with = |count: usize| {
        let additions: Vec<_> = (0..count).map(|n| format!("\"{n}\":\"\"")).collect();
        let optional = format!("\"optional\":{{{}}},\"changes\"", additions.join(","));
        read_tail(&tail().replacen("\"changes\"", &optional, 1))
    };

    assert!(with(16).is_ok());
    assert!(is_corrupt(&with(17)));
}

/// A version that this one does not know.
const LATER: u64 = VERSION + 1;

/// What a made-up later version adds, which this version must understand to be right.
fn additions() -> Vec<String> {
    let change = |name: &str| {
        let changes = format!("\"changes\":{{\"{name}\":{{\"x\":[1]}},");
        tail().replacen("\"changes\":{", &changes, 1)
    };

    let reserved = [
        "open",
        "release",
        "retention",
        "rollups",
        "snapshots",
        "tombstones",
    ];

    let mut all: Vec<_> = reserved.into_iter().map(change).collect();
    all.push(tail().replacen("\"level\"", "\"colour\":[7],\"level\"", 1));
    all.push(tail().replacen("\"epoch\"", "\"colour\":7,\"epoch\"", 1));
    all.push(tail().replacen("\"position\"", "\"colour\":7,\"position\"", 1));
    all.push(tail().replacen("\"edits\"", "\"colour\":7,\"edits\"", 1));

    assert!(all.iter().all(|text| *text != tail()));
    all
}

#[test]
fn what_a_later_version_adds_is_refused_by_version_and_never_ignored() {
    for text in additions() {
        // The edit itself asks for the later version, or the object does.
        let by_edit = text.replacen(
            "\"writer\"",
            &format!("\"reader_version_min\":{LATER},\"writer\""),
            1,
        );
        let by_object = text.replacen('{', &format!("{{\"reader_version_min\":{LATER},"), 1);

        for text in [by_edit, by_object] {
            let error = read_tail(&text).unwrap_err();
            assert!(
                matches!(error, Error::Version { needed: LATER, .. }),
                "{text}: {error}"
            );

            let message = error.to_string();
            assert!(
                message.contains("needs a later version")
                    && message.contains(&format!("needed=`{LATER}`")),
                "{message}"
            );
        }

        assert!(is_corrupt(&read_tail(&text)), "{text}");
    }
}

#[test]
fn a_state_that_a_later_version_has_made_is_refused_by_version() {
    let later = snapshot().replacen("\"blocks\"", "\"tombstones\":[],\"blocks\"", 1);
    assert!(is_corrupt(&read_snapshot(&later)));

    let asking = later.replacen('{', &format!("{{\"reader_version_min\":{LATER},"), 1);
    let error = read_snapshot(&asking).unwrap_err();
    assert!(
        matches!(error, Error::Version { needed: LATER, .. }),
        "{error}"
    );

    let all = r#"{"reader_version_min": 7, "what": "ever"}"#;
    let error = read_snapshot(all).unwrap_err();
    assert!(matches!(error, Error::Version { needed: 7, .. }), "{error}");
}

#[test]
fn a_change_that_does_not_ask_for_its_version_is_corrupt() {
    let edit = Edit::commit(
        identity(1, 1),
        author(),
        Commit::horizon(BlockId(ulid::Ulid(5))),
    );
    let tail = Tail {
        reader_version_min: 0,
        base: None,
        edits: vec![edit.into()],
    };

    let text = serde_json::to_string(&tail).unwrap();
    assert!(read_tail(&text).is_ok());

    let silent = text.replacen(",\"reader_version_min\":2", "", 1);
    assert_ne!(silent, text);
    assert!(is_corrupt(&read_tail(&silent)));
}

#[test]
fn a_quarantine_of_a_snapshot_has_live_blocks_only() {
    let block = BlockId(ulid::Ulid(9));
    let gone = format!("\"quarantine\":{{\"{block}\":\"why\"}},\"blocks\"");
    assert!(is_corrupt(&read_snapshot(&snapshot().replacen(
        "\"blocks\"",
        &gone,
        1
    ))));
}

#[test]
fn named_snapshots_of_a_snapshot_are_earlier_and_have_names() {
    let with = |snapshots: &str| {
        let text = format!("\"reader_version_min\":4,\"snapshots\":{snapshots},\"blocks\"");
        read_snapshot(&snapshot().replacen("\"blocks\"", &text, 1))
    };

    assert!(with("{\"a-1\":1}").is_ok());

    for wrong in [
        "{\"a\":0}",
        "{\"a\":99999}",
        "{\"\":1}",
        "{\"a/b\":1}",
        "{\"a\":-1}",
    ] {
        assert!(with(wrong).is_err(), "{wrong}");
    }

    let many: Vec<String> = (0..101).map(|n| format!("\"s{n}\":1")).collect();
    assert!(is_corrupt(&with(&format!("{{{}}}", many.join(",")))));
}

#[test]
fn format_0_is_refused_with_its_name() {
    let old = br#"{"edits":[{"kind":"fence","writer":"00000000000000000000000007","epoch":2}]}"#;
    let message = "manifest format 0 is not supported; this version reads format 1";

    let tail = Tail::decode(&key(), 1, old).unwrap_err();
    let snapshot = SnapshotReader::open(&key(), 1, old).unwrap_err();

    for error in [tail, snapshot] {
        assert!(error.to_string().starts_with(message), "{error}");
        assert!(error.to_string().contains("t/x/manifest/1"), "{error}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

#[test]
fn a_body_that_unpacks_to_more_than_its_limit_is_refused() {
    let spaces = |length: usize| {
        let mut text = tail();
        text.push_str(&" ".repeat(length - text.len()));
        read_tail(&text)
    };

    assert!(spaces(TEXT_BYTES_MAX).is_ok());
    assert!(is_corrupt(&spaces(TEXT_BYTES_MAX + 1)));

    let bomb = zstd::encode_all(std::io::repeat(b' ').take(1 << 30), 3).unwrap();
    let read = Tail::decode(&key(), 1, &bomb);
    assert!(bomb.len() < 100_000 && is_corrupt(&read), "{read:?}");
}

#[test]
fn a_frame_with_a_window_beyond_the_limit_is_refused() {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(24).unwrap();
    encoder.write_all(tail().as_bytes()).unwrap();
    assert!(is_corrupt(&Tail::decode(
        &key(),
        1,
        &encoder.finish().unwrap()
    )));
}

#[test]
fn a_body_is_one_whole_frame() {
    let body = pack(&tail());
    assert!(Tail::decode(&key(), 1, &body).is_ok());

    for length in 0..body.len() {
        assert!(
            is_corrupt(&Tail::decode(&key(), 1, &body[..length])),
            "{length}"
        );
    }

    for rest in [&[0][..], &pack(" ")] {
        assert!(is_corrupt(&Tail::decode(
            &key(),
            1,
            &[&body, rest].concat()
        )));
    }

    // A frame that is skipped comes first.
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0], &*body].concat();
    assert!(is_corrupt(&Tail::decode(&key(), 1, &skipped)));
}

#[test]
fn a_table_of_entries_is_complete_and_even() {
    let faults = [
        ("\"level\":[0]", "\"level\":[]"),
        ("\"level\":[0]", "\"level\":[0,0]"),
        ("\"level\":[0],", ""),
        ("\"level\":[0]", "\"level\":[0],\"level\":[0]"),
        ("\"level\":[0]", "\"level\":[0],\"retention\":[\"\",\"\"]"),
        ("\"file_set\":[0]", "\"file_set\":[1]"),
        ("\"file_bytes\":[100,3000]", "\"file_bytes\":[100]"),
        ("\"file_bytes\":[100,3000]", "\"file_bytes\":[100,3000,1]"),
        ("\"samples.parquet\"", "\"../samples\""),
        ("\"order\":[[5,0,0,3]]", "\"order\":[[5,0,1,3]]"),
        (
            "\"order\":[[5,0,0,3]]",
            "\"order\":[[281474976710656,0,0,3]]",
        ),
    ];

    for (from, to) in faults {
        let text = tail().replacen(from, to, 1);
        assert_ne!(text, tail(), "{from}");
        assert!(is_corrupt(&read_tail(&text)), "{to}");
    }
}

#[test]
fn a_snapshot_with_an_entry_that_cannot_be_is_refused() {
    let lies = snapshot().replacen("[\"a\",\"z\"]", "[\"b\",\"a\"]", 1);
    assert!(is_corrupt(&read_snapshot(&lies)));

    let truth = lies.replacen("[\"b\",\"a\"]", "[\"a\",\"b\"]", 1);
    assert!(read_snapshot(&truth).is_ok());
}

#[test]
fn a_snapshot_with_blocks_that_do_not_fit_together_is_refused() {
    let mut state = State::default();
    let siblings = vec![sibling(1, 1, "a", "c"), sibling(1, 2, "c", "f")];
    let commit = Commit::replace(Vec::new(), siblings);
    state
        .apply(&Edit::commit(identity(1, 1), author(), commit))
        .unwrap();

    let bodies = encode_snapshot(&state, 1 << 20, key(), |_| key()).unwrap();
    let text = String::from_utf8(zstd::decode_all(&*bodies.first.1).unwrap()).unwrap();
    assert_eq!(read_snapshot(&text).unwrap(), state);

    let overlap = text.replacen("[\"c\",\"f\"]", "[\"b\",\"f\"]", 1);
    let twice = text.replacen("0000000002\"", "0000000001\"", 1);

    for broken in [overlap, twice] {
        assert_ne!(broken, text);
        assert!(is_corrupt(&read_snapshot(&broken)), "{broken}");
    }
}

#[test]
fn a_snapshot_names_each_part_once_and_not_too_many() {
    let with = |parts: usize, distinct: usize| {
        let keys: Vec<_> = (0..parts)
            .map(|n| format!("\"p{}\"", n % distinct))
            .collect();
        let parts = format!("\"parts\":[{}],\"blocks\"", keys.join(","));
        let text = snapshot().replacen("\"blocks\"", &parts, 1);
        SnapshotReader::open(&key(), 1, &pack(&text))
    };

    assert!(with(PARTS_MAX, PARTS_MAX).is_ok());
    assert!(is_corrupt(&with(PARTS_MAX + 1, PARTS_MAX + 1)));
    assert!(is_corrupt(&with(2, 1)));
}

#[test]
fn a_block_that_cannot_be_is_refused() {
    let faults: [fn(&mut duramen_model::BlockEntry); 18] = [
        |b| b.stats.max_ts_ms = b.stats.min_ts_ms - 1,
        |b| b.stats.max_ts_ms = i64::MAX,
        |b| b.stats.ttl_max_ms = -1,
        |b| b.stats.files[0].name = "../../x".to_owned(),
        |b| b.stats.files[0].name = String::new(),
        |b| b.stats.files[0].bytes = u64::MAX,
        |b| b.order.max.opened = 0,
        |b| b.stats.files = vec![b.stats.files[0].clone(); 17],
        |b| b.resolution_ms = Some(0),
        |b| b.retention = "a b".to_owned(),
        |b| b.retention = "x".repeat(101),
        |b| b.content = Content::default(),
        |b| b.stats.names = None,
        |b| b.stats.series = 0,
        |b| b.stats.names = names("b", "a"),
        |b| b.stats.names = names("a", &"b".repeat(METRIC_NAME_BYTES_MAX + 1)),
        |b| b.stats.names = names(&"b".repeat(METRIC_NAME_BYTES_MAX + 1), "c"),
        |b| {
            b.stats.names = names("a", "b");
            b.stats.series = 0;
        },
    ];

    for (n, fault) in faults.into_iter().enumerate() {
        let mut entry = block(1);
        fault(&mut entry);

        let commit = Commit::replace(Vec::new(), vec![entry]);

        let mut state = State::default();
        assert!(
            state
                .apply(&Edit::commit(identity(1, 1), author(), commit))
                .is_err(),
            "fault {n}"
        );

        assert_eq!(state, State::default());
    }
}

fn names(first: &str, last: &str) -> Option<NameBounds> {
    Some(NameBounds {
        first: first.to_owned(),
        last: last.to_owned(),
    })
}

/// Applies the edits of a text, and uses their entries as others do.
fn use_all(text: &str) {
    let _ = read_snapshot(text);
    let Ok(tail) = read_tail(text) else { return };

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

proptest! {
    #[test]
    fn any_bytes_are_an_object_or_an_error(bytes: Vec<u8>) {
        let _ = Tail::decode(&key(), 1, &bytes);
        let _ = SnapshotReader::open(&key(), 1, &bytes);
    }

    #[test]
    fn a_damaged_frame_is_an_object_or_an_error(at: usize, byte: u8) {
        let mut body = pack(&tail());
        let at = at % body.len();
        body[at] = byte;

        let _ = Tail::decode(&key(), 1, &body);
        let _ = SnapshotReader::open(&key(), 1, &body);
    }

    #[test]
    fn any_text_that_looks_right_is_an_object_or_an_error(
        at in 0_usize..1_000, cut in 0_usize..40, paste in "[\\[\\]{}:,\"0-9a-z.e-]{0,20}", sequence: u64
    ) {
        for mut text in [tail(), snapshot()] {
            let at = at.min(text.len());
            text.replace_range(at..(at + cut).min(text.len()), &paste);

            use_all(&text);
            let _ = Tail::decode(&key(), sequence, &pack(&text));
        }
    }

    #[test]
    fn any_numbers_in_place_of_those_of_a_writer_are_an_object_or_an_error(
        which in 0_usize..200, number in prop_oneof![any::<i64>().prop_map(i128::from), any::<i128>(), -2..3_i128]
    ) {
        for text in [tail(), snapshot()] {
            let starts: Vec<usize> = text.match_indices([':', ',', '[']).map(|(at, _)| at + 1).collect();
            let at = starts[which % starts.len()];
            let length = text[at..].bytes().take_while(u8::is_ascii_digit).count();
            let mut text = text.clone();

            if length > 0 {
                text.replace_range(at..at + length, &number.to_string());
            }

            use_all(&text);
        }
    }
}

#[test]
fn deep_nesting_is_an_error() {
    let deep = "[".repeat(1 << 20);
    assert!(is_corrupt(&read_tail(&deep)));

    let hidden = tail().replacen(
        "\"changes\"",
        &format!("\"optional\":{deep}{},\"changes\"", "]".repeat(1 << 20)),
        1,
    );

    assert!(is_corrupt(&read_tail(&hidden)));
}
