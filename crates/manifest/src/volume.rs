//! A test: how much a manifest of 100,000 blocks takes, in the bucket and in memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use duramen_model::{
    BlockEntry, BlockFile, BlockId, BlockStats, Content, NameBounds, Order, OrderRange, WriterId,
};
use object_store::path::Path;
use ulid::Ulid;

use crate::State;
use crate::manifests::SNAPSHOT_BYTES_MAX;
use crate::object::{SnapshotBodies, SnapshotReader, encode_snapshot};

/// Counts the bytes that each thread has allocated, and the most that it had at once.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn grow(bytes: usize) {
    let _ = HELD.try_with(|held| {
        held.set(held.get().wrapping_add(bytes));
        PEAK.try_with(|peak| peak.set(peak.get().max(held.get())))
    });
}

// SAFETY: all calls go to the system's allocator; only numbers are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());

        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let _ = HELD.try_with(|held| held.set(held.get().wrapping_sub(layout.size())));

        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Numbers that look random, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn millis(&mut self, end: u64) -> i64 {
        i64::try_from(self.below(end)).unwrap()
    }
}

const DAY_MS: u64 = 86_400_000;
/// The blocks of a day: 20 raw siblings, two of a rollup, one of another.
const SIBLINGS: [(Option<i64>, u64); 3] = [(None, 20), (Some(300_000), 2), (Some(3_600_000), 1)];

/// Makes the entries of one day of a large tenant.
fn day(number: u64, numbers: &mut Numbers) -> Vec<BlockEntry> {
    let start_ms = 1_700_000_000_000 + number * DAY_MS;
    let content = Content(u128::from(numbers.next()) << 64 | u128::from(numbers.next()));

    let mut order = |at_ms: u64, flush| Order {
        opened: (at_ms + numbers.below(900_000)) << 16 | numbers.below(3),
        writer: WriterId(Ulid::from_parts(1, 7_777 + u128::from(numbers.below(4)))),
        flush,
    };

    let order = OrderRange {
        min: order(start_ms, number * 96),
        max: order(start_ms + DAY_MS - 900_000, number * 96 + 95),
    };

    let mut entries = Vec::new();

    for (resolution_ms, siblings) in SIBLINGS {
        for sibling in 0..siblings {
            let name = |at: u64| format!("http_server_{:03}_seconds_total", at * 37);
            let min_ts_ms = i64::try_from(start_ms).unwrap() + numbers.millis(15_000);

            let file = |name: &str, bytes| BlockFile {
                name: name.to_owned(),
                bytes,
            };

            let stats = BlockStats {
                series: 40_000 + numbers.below(25_000),
                samples: 200_000_000 + numbers.below(100_000_000),
                histograms: 0,
                exemplars: 0,
                families: 0,
                ttl_max_ms: 0,
                min_ts_ms,
                max_ts_ms: min_ts_ms + 86_370_000 + numbers.millis(15_000),
                names: Some(NameBounds {
                    first: name(sibling),
                    last: name(sibling + 1),
                }),
                files: vec![
                    file("series.parquet", 900_000 + numbers.below(600_000)),
                    file("samples.parquet", 200_000_000 + numbers.below(68_000_000)),
                ],
                meta_bytes: 300_000 + numbers.below(200_000),
                meta_crc32c: u32::try_from(numbers.next() >> 32).unwrap(),
            };

            let made_ms = start_ms + DAY_MS + numbers.below(3_600_000);
            let random = u128::from(numbers.next()) << 16 | u128::from(numbers.below(1 << 16));

            entries.push(BlockEntry {
                id: BlockId(Ulid::from_parts(made_ms, random)),
                order,
                level: 2,
                resolution_ms,
                retention: String::new(),
                home: None,
                content,
                rolled: Vec::new(),
                stats,
            });
        }
    }

    entries
}

fn state(blocks: usize) -> State {
    let mut numbers = Numbers(7);
    let mut state = State::default();

    let days = (0..).flat_map(|number| day(number, &mut numbers));
    for entry in days.take(blocks) {
        state.insert(Arc::new(entry));
    }

    state
}

fn encode(state: &State) -> SnapshotBodies {
    let part_key = |part| Path::from(format!("s-{part}"));
    encode_snapshot(state, SNAPSHOT_BYTES_MAX, Path::from("s"), part_key).unwrap()
}

fn decode(bodies: &SnapshotBodies) -> State {
    let (key, first) = &bodies.first;
    let mut reader = SnapshotReader::open(key, 0, first).unwrap();

    for (key, body) in &bodies.parts {
        reader.read_part(key, body).unwrap();
    }

    reader.finish().unwrap()
}

#[test]
fn a_manifest_of_100_000_blocks_is_a_few_megabytes_and_decodes_in_bounded_memory() {
    let blocks = 100_000;
    let state = state(blocks);
    let bodies = encode(&state);

    let parts = bodies.parts.iter().map(|(_, body)| body.len());
    let bytes = bodies.first.1.len() + parts.sum::<usize>();
    assert!(bytes < 55 * blocks, "{bytes}");
    assert!(bodies.parts.len() < 5, "{}", bodies.parts.len());

    let before = HELD.get();
    PEAK.set(before);

    let decoded = decode(&bodies);
    let held = HELD.get() - before;
    let peak = PEAK.get() - before;

    assert_eq!(decoded, state);
    assert!(held < 800 * blocks, "{held}");

    // Beside the state, there are the text and the columns of one part.
    assert!(peak - held < 4 * SNAPSHOT_BYTES_MAX, "{peak} {held}");
}
