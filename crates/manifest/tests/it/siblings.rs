//! What the manifest holds about the blocks of one output.

use duramen_bucket::Author;
use duramen_manifest::{Commit, Edit, State, Violation};
use duramen_model::{BlockEntry, BlockId, Content};
use proptest::prelude::*;
use ulid::Ulid;

use crate::values::{block, content, identity, sibling};

fn apply(state: &mut State, remove: &[u128], add: Vec<BlockEntry>) -> Result<(), Violation> {
    let author = Author {
        writer: identity(1, 1).writer,
        attempt: Ulid(3),
    };

    let remove = remove.iter().map(|id| BlockId(Ulid(*id))).collect();
    let commit = Commit::replace(remove, add);
    state.apply(&Edit::commit(identity(1, 1), author, commit))
}

/// Returns a state with the siblings 1, 2 and 3, and block 4 of another output.
fn state() -> State {
    let mut state = State::default();
    let siblings = vec![
        sibling(1, 1, "a", "c"),
        sibling(1, 2, "c", "c"),
        sibling(1, 3, "c", "f"),
        sibling(4, 4, "a", "z"),
    ];

    apply(&mut state, &[], siblings).unwrap();
    state
}

/// Returns a block that has the content of all blocks of `outputs`.
fn merged(id: u128, outputs: &[u128]) -> BlockEntry {
    BlockEntry {
        content: Content::of_merge(outputs.iter().map(|output| content(*output))),
        ..sibling(0, id, "a", "z")
    }
}

#[test]
fn siblings_share_everything_but_names_and_touch_at_one_name_only() {
    let faults: [fn(&mut BlockEntry); 4] = [
        |b| b.level = 2,
        |b| b.order.min.opened = 1,
        |b| {
            b.stats.names = None;
            b.stats.series = 0;
        },
        |b| b.stats.names.as_mut().unwrap().last = "d".to_owned(),
    ];

    let siblings = || vec![sibling(1, 2, "c", "f"), sibling(1, 1, "b", "c")];

    apply(&mut State::default(), &[], siblings()).unwrap();

    for fault in faults {
        let mut broken = siblings();
        fault(&mut broken[1]);

        let violation = apply(&mut State::default(), &[], broken.clone()).unwrap_err();
        assert!(
            matches!(violation, Violation::Siblings { .. }),
            "{violation}"
        );

        // They are not siblings if they have another class, resolution or content.
        let parted: [fn(&mut BlockEntry); 3] = [
            |b| b.retention = "short".to_owned(),
            |b| b.resolution_ms = Some(1),
            |b| b.content = content(99),
        ];

        for part in parted {
            let mut blocks = broken.clone();
            part(&mut blocks[1]);
            apply(&mut State::default(), &[], blocks).unwrap();
        }
    }
}

#[test]
fn a_later_edit_cannot_add_a_sibling_that_does_not_fit() {
    let before = state();

    for entry in [sibling(1, 9, "b", "b"), sibling(1, 9, "e", "z")] {
        let mut state = before.clone();
        assert!(apply(&mut state, &[], vec![entry]).is_err());
        assert_eq!(state, before);
    }

    apply(&mut state(), &[], vec![sibling(1, 9, "f", "g")]).unwrap();
}

#[test]
fn a_merge_takes_all_siblings_and_keeps_the_sum_of_the_contents() {
    apply(&mut state(), &[1, 2, 3, 4], vec![merged(9, &[1, 4])]).unwrap();

    let left = apply(&mut state(), &[1, 2, 4], vec![merged(9, &[1, 4])]).unwrap_err();
    assert_eq!(
        left,
        Violation::SiblingLeft {
            block: BlockId(Ulid(3))
        }
    );

    for outputs in [&[1][..], &[4], &[1, 4, 7]] {
        let added = vec![merged(9, outputs)];
        let changed = apply(&mut state(), &[1, 2, 3, 4], added).unwrap_err();
        assert!(
            matches!(changed, Violation::ContentChanged { .. }),
            "{changed}"
        );
    }
}

#[test]
fn one_sibling_alone_can_be_rewritten_or_given_up() {
    let mut rewritten = state();
    apply(&mut rewritten, &[2], vec![sibling(1, 9, "c", "c")]).unwrap();
    apply(&mut rewritten, &[9], Vec::new()).unwrap();
    assert_eq!(rewritten.blocks.len(), 3);

    // The others still go together.
    apply(&mut rewritten, &[1, 3, 4], vec![merged(10, &[1, 4])]).unwrap();
}

#[test]
fn a_rollup_may_be_made_again_from_more_blocks() {
    let rollup = |id, outputs: &[u128]| BlockEntry {
        resolution_ms: Some(300_000),
        ..merged(id, outputs)
    };

    let mut state = state();
    apply(&mut state, &[], vec![rollup(20, &[1])]).unwrap();
    apply(&mut state, &[20], vec![rollup(21, &[1, 4])]).unwrap();
}

#[test]
fn another_class_of_the_same_output_stays_where_it_is() {
    let mut state = State::default();
    let short = |id, outputs: &[u128]| BlockEntry {
        retention: "short".to_owned(),
        ..merged(id, outputs)
    };

    let all = vec![
        merged(1, &[1]),
        short(2, &[1]),
        merged(3, &[3]),
        short(4, &[3]),
    ];
    apply(&mut state, &[], all).unwrap();
    apply(&mut state, &[1, 3], vec![merged(9, &[1, 3])]).unwrap();
    apply(&mut state, &[2], Vec::new()).unwrap();
}

#[test]
fn a_block_says_which_flushes_it_stands_for() {
    let unknown = BlockEntry {
        content: Content::default(),
        ..block(1)
    };

    assert!(apply(&mut State::default(), &[], vec![unknown]).is_err());
}

proptest! {
    /// Whatever spans the siblings have, they are accepted just when no two of them overlap.
    #[test]
    fn spans_are_siblings_when_no_two_overlap(spans in prop::collection::vec((0..9_u8, 0..3_u8), 1..5)) {
        let name = |n: u8| format!("m{n:02}");
        let entries: Vec<_> = (1..)
            .zip(&spans)
            .map(|(id, (first, length))| sibling(1, id, &name(*first), &name(first + length)))
            .collect();

        let overlap = |a: &(u8, u8), b: &(u8, u8)| {
            let common = (a.0 + a.1).min(b.0 + b.1).checked_sub(a.0.max(b.0));
            // More than one name, or one that is not at the end of one and the start of the other.
            common.is_some_and(|common| common > 0)
                || (common == Some(0) && !touches(*a, *b))
        };

        let is_free = (0..spans.len()).all(|i| (0..i).all(|j| !overlap(&spans[i], &spans[j])));
        let applied = apply(&mut State::default(), &[], entries).is_ok();

        prop_assert_eq!(applied, is_free);
    }
}

/// Whether one span ends with the name with which the other begins.
fn touches(a: (u8, u8), b: (u8, u8)) -> bool {
    a.0 + a.1 == b.0 || b.0 + b.1 == a.0
}
