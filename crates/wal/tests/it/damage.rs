use std::ops::Range;

use duramen_runtime::Disk;
use duramen_testkit::SimDisk;
use duramen_wal::{Damage, Position, Reason, SegmentId, TornTail};

use crate::support::{copy, numbered, open, path, write};

const HEADER: u64 = 48;
const PER_SEGMENT: u32 = 12;

/// Returns two segments of twelve records each, with the byte ranges of their frames.
fn two_segments() -> (SimDisk, [Vec<Range<u64>>; 2]) {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;
    let first = frames(&write(&mut wal, 0..PER_SEGMENT));

    wal.rotate().unwrap();

    let second = frames(&write(&mut wal, PER_SEGMENT..2 * PER_SEGMENT));
    (disk, [first, second])
}

fn frames(ends: &[u64]) -> Vec<Range<u64>> {
    let starts = std::iter::once(HEADER).chain(ends.iter().copied());
    starts.zip(ends).map(|(start, end)| start..*end).collect()
}

#[test]
fn a_cut_at_any_byte_keeps_all_full_records() {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;
    let ends = write(&mut wal, 0..6);
    let whole = disk.read(&path(1)).unwrap();

    for cut in HEADER..=whole.len() as u64 {
        let disk = copy(&disk);
        disk.plant(&path(1), whole[..usize::try_from(cut).unwrap()].to_vec())
            .unwrap();

        let full = u32::try_from(ends.iter().filter(|end| **end <= cut).count()).unwrap();
        let clean = cut == HEADER || ends.contains(&cut);

        let mut opened = open(&disk);
        assert_eq!(opened.records(), numbered(0..full), "cut at {cut}");
        assert_eq!(opened.report.damage, [], "cut at {cut}");

        assert_eq!(
            opened.report.torn_tails.len(),
            usize::from(!clean),
            "cut at {cut}"
        );

        // Records after the torn end are kept, and the torn end stays a torn end.
        write(&mut opened.wal, 100..101);

        let opened = open(&disk);
        assert_eq!(
            opened.records(),
            [numbered(0..full), numbered(100..101)].concat(),
            "cut at {cut}"
        );

        assert_eq!(opened.report.damage, [], "cut at {cut}");
        assert_eq!(
            opened.report.torn_tails.len(),
            usize::from(!clean),
            "cut at {cut}"
        );

        assert!(opened.positions().is_sorted_by(|a, b| a < b));

        if !clean {
            assert!(
                opened.positions().last().unwrap() > &u64::from(full + 1),
                "a torn position is not used again"
            );
        }
    }
}

#[test]
fn a_flipped_bit_at_any_byte_costs_what_it_destroyed_and_no_more() {
    let (disk, frames) = two_segments();

    for (segment, frames) in (1..).zip(&frames) {
        let whole = disk.read(&path(segment)).unwrap();
        for offset in 0..whole.len() {
            let disk = copy(&disk);
            let mut flipped = whole.clone();
            flipped[offset] ^= 1 << (offset % 8);
            disk.plant(&path(segment), flipped).unwrap();
            check_flip(&disk, segment, offset as u64, frames);
        }
    }
}

fn check_flip(disk: &SimDisk, segment: u64, offset: u64, frames: &[Range<u64>]) {
    let opened = open(disk);
    let report = &opened.report;
    let mut expected = numbered(0..2 * PER_SEGMENT);
    let id = SegmentId(segment);

    let Some(index) = frames.iter().position(|frame| frame.contains(&offset)) else {
        let [
            Damage {
                segment,
                offsets,
                reason: Reason::Header,
                ..
            },
        ] = &report.damage[..]
        else {
            panic!("the header was flipped at {offset}: {report:?}");
        };
        assert_eq!((*segment, offsets.clone()), (id, 0..HEADER));

        assert_eq!(
            (report.records_lost(), opened.records()),
            (0, expected),
            "flip in the header at {offset}"
        );

        return;
    };

    let lost = (segment - 1) * u64::from(PER_SEGMENT) + index as u64;
    expected.remove(usize::try_from(lost).unwrap());

    assert_eq!(
        opened.records(),
        expected,
        "flip at {offset} of segment {segment}"
    );

    let offsets = frames[index].clone();

    if lost == u64::from(2 * PER_SEGMENT) - 1 {
        assert_eq!(
            (&report.damage[..], &report.torn_tails[..]),
            (
                &[][..],
                &[TornTail {
                    segment: id,
                    offsets
                }][..]
            )
        );
    } else {
        let positions = Position(lost + 1)..Position(lost + 2);
        let named = Damage {
            segment: id,
            offsets,
            positions,
            reason: Reason::Checksum,
        };

        assert_eq!(
            (&report.damage[..], &report.torn_tails[..]),
            (&[named][..], &[][..])
        );
    }
}

#[test]
fn damage_at_the_end_of_a_segment_is_not_a_torn_tail_when_records_follow() {
    let (disk, frames) = two_segments();
    let mut bytes = disk.read(&path(1)).unwrap();
    bytes.truncate(usize::try_from(frames[0][9].start + 7).unwrap());
    disk.plant(&path(1), bytes).unwrap();

    let opened = open(&disk);
    assert_eq!(opened.report.records_lost(), 3);
    assert_eq!(opened.report.bytes_quarantined(), 7);
    assert_eq!(
        opened.report.damage[0].positions,
        Position(10)..Position(13)
    );

    assert_eq!(opened.report.torn_tails, []);
    assert_eq!(
        opened.records(),
        [numbered(0..9), numbered(12..24)].concat()
    );
}

#[test]
fn records_cut_out_without_a_trace_are_missed() {
    let (disk, frames) = two_segments();
    let mut bytes = disk.read(&path(1)).unwrap();
    let hole = &frames[0][3];

    bytes.drain(usize::try_from(hole.start).unwrap()..usize::try_from(hole.end).unwrap());
    disk.plant(&path(1), bytes).unwrap();

    let report = open(&disk).report;
    let positions = Position(4)..Position(5);
    let offsets = hole.start..hole.start;

    assert_eq!(
        report.damage,
        [Damage {
            segment: SegmentId(1),
            offsets,
            positions,
            reason: Reason::Gap
        }]
    );
}

#[test]
fn a_repeated_frame_is_read_once() {
    let (disk, frames) = two_segments();
    let mut bytes = disk.read(&path(1)).unwrap();
    let copied =
        usize::try_from(frames[0][3].start).unwrap()..usize::try_from(frames[0][3].end).unwrap();

    bytes.extend_from_within(copied);
    disk.plant(&path(1), bytes).unwrap();

    let opened = open(&disk);
    assert_eq!(opened.records(), numbered(0..24));
    assert_eq!(opened.report.damage[0].reason, Reason::Duplicate);
    assert_eq!(opened.report.records_lost(), 0);
}

#[test]
fn noise_is_no_reason_to_panic() {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    let (disk, _) = two_segments();
    let mut rng = StdRng::seed_from_u64(1);

    for _ in 0..300 {
        let disk = copy(&disk);
        let mut bytes = disk.read(&path(1)).unwrap();

        for _ in 0..rng.random_range(1..40) {
            let at = rng.random_range(0..bytes.len());
            let until = rng.random_range(at..bytes.len().min(at + 30));
            rng.fill(&mut bytes[at..until]);
        }

        disk.plant(&path(1), bytes).unwrap();

        let opened = open(&disk);
        let lost = usize::try_from(opened.report.records_lost()).unwrap();
        let written = numbered(0..24);

        assert!(
            opened
                .records()
                .iter()
                .all(|record| written.contains(record))
        );

        assert_eq!(opened.records().len() + lost, 24);
    }
}
