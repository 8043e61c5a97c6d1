//! What 1,000 deletions that touch nothing cost a request: `cargo run --release --example deletions
//! -p duramen-manifest`.
//!
//! Prints the time for finding the deletions that a request may meet, and then the blocks that each
//! of these touches, for a tenant of 400 blocks.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it prints figures, and ends if it cannot"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use duramen_bucket::{Author, WriterIdentity};
use duramen_manifest::{AskedDeletion, Commit, Edit, Flushed, State};
use duramen_model::{
    BlockEntry, BlockId, BlockStats, Content, Deletion, Incarnation, Matcher, NameBounds, Order,
    TenantId, TimeRange, WriterId,
};
use duramen_runtime::{Clock, SystemClock};
use ulid::Ulid;

const DELETIONS: u128 = 1_000;
const BLOCKS: u128 = 400;
const ROUNDS: u32 = 1_000;
const DAY_MS: i64 = 86_400_000;

const IDENTITY: WriterIdentity = WriterIdentity {
    writer: WriterId(Ulid(7)),
    epoch: 1,
    incarnation: Incarnation(Ulid(1)),
};

fn apply(state: &mut State, commit: Commit) {
    let author = Author {
        writer: IDENTITY.writer,
        attempt: Ulid(0),
    };
    state
        .apply(&Edit::commit(IDENTITY, author, commit))
        .unwrap();
}

/// A block of one day with the metrics from `a` to `z`.
fn block(day: u128) -> BlockEntry {
    let order = Order {
        opened: 1,
        writer: IDENTITY.writer,
        flush: u64::try_from(day).unwrap() + 1,
    };

    let min_ts_ms = i64::try_from(day).unwrap() * DAY_MS;
    let stats = BlockStats {
        series: 10_000,
        samples: 1,
        histograms: 0,
        exemplars: 0,
        families: 0,
        ttl_max_ms: 0,
        min_ts_ms,
        max_ts_ms: min_ts_ms + DAY_MS - 1,
        names: Some(NameBounds {
            first: "a".to_owned(),
            last: "z".to_owned(),
        }),
        files: Vec::new(),
        meta_bytes: 1,
        meta_crc32c: 1,
    };

    let content = Content::of_flush(TenantId(Ulid(1)), order, min_ts_ms);
    BlockEntry::of_flush(BlockId(Ulid(day + 1)), order, content, stats)
}

/// A tenant with blocks, and with deletions of series of other names, or of another time.
fn tenant(range: TimeRange) -> State {
    let mut state = State::default();

    for day in 0..BLOCKS {
        let flush = u64::try_from(day).unwrap() + 1;
        let flushed = Flushed {
            writer: IDENTITY.writer,
            epoch: 1,
            incarnation: IDENTITY.incarnation,
            position: flush,
            flush,
        };
        apply(&mut state, Commit::flush(vec![block(day)], flushed));
    }

    for number in 0..DELETIONS {
        let name = Matcher::equal("__name__", format!("deleted_{number}"));
        let job = Matcher::regex("job", "a|b").unwrap();

        let asked = AskedDeletion {
            id: Ulid(number),
            deletion: Arc::new(Deletion {
                selectors: vec![vec![name, job]],
                range,
                value: None,
            }),
            author: String::new(),
            at_ms: 0,
            positions: BTreeMap::from([(IDENTITY.writer, 1_000)]),
        };
        apply(&mut state, Commit::delete(asked));
    }

    state
}

/// The time of a request in microseconds, the best of some.
fn measure(state: &State, matchers: &[Matcher], range: TimeRange) -> f64 {
    let clock = SystemClock::default();
    let mut best = f64::INFINITY;

    for _ in 0..5 {
        let started = clock.monotonic();
        for _ in 0..ROUNDS {
            let meeting: Vec<_> = state.deletions.meeting(matchers, range).collect();

            for entry in state.blocks_overlapping(range) {
                let mut touching = meeting.iter();
                black_box(touching.any(|one| state.deletions.touches(one, entry)));
            }
        }

        let each = (clock.monotonic() - started).as_secs_f64() * 1e6 / f64::from(ROUNDS);
        best = best.min(each);
    }

    best
}

fn main() {
    let year = TimeRange::new(0, 365 * DAY_MS).unwrap();
    let later = TimeRange::new(500 * DAY_MS, 501 * DAY_MS).unwrap();
    let metric = [Matcher::equal("__name__", "up")];
    let anything = [Matcher::equal("job", "c")];

    let mut none = tenant(year);
    none.deletions = Arc::default();

    for (what, state, matchers) in [
        ("without deletions", &none, &metric),
        ("of another time", &tenant(later), &metric),
        ("of other metrics", &tenant(year), &metric),
        ("of another job, no metric named", &tenant(year), &anything),
    ] {
        let us = measure(state, matchers, year);
        println!("{what}: {us:.1} us for a request of a year");
    }
}
