//! What a replay found.

use std::ops::Range;

use crate::position::{Position, SegmentId};

/// What [`crate::Wal::open`] read. Nothing that was lost is missing from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayReport {
    /// Segments that were read.
    pub segments: usize,
    /// Bytes that were read.
    pub bytes: u64,
    /// Records that were handed over.
    pub records: u64,
    /// Samples in those records.
    pub samples: u64,
    /// The first position that the oldest segment may hold; what is before was trimmed, or its
    /// segments are missing: compare it with the committed positions. `None` without segments.
    pub first_position: Option<Position>,
    /// What was there and cannot be read any more. Not empty: call a person.
    pub damage: Vec<Damage>,
    /// Ends of segments that were being written when the process or the power went. Nothing that
    /// was synced is in them, unless the last bytes of the last segment were damaged later, which
    /// looks the same.
    pub torn_tails: Vec<TornTail>,
    /// Entries of the directory that are no segments. They are left alone.
    pub ignored: Vec<String>,
}

impl ReplayReport {
    /// How many records were lost to damage.
    pub fn records_lost(&self) -> u64 {
        self.damage
            .iter()
            .map(|damage| damage.positions.end.0 - damage.positions.start.0)
            .sum()
    }

    /// How many bytes were quarantined: they are in the files and belong to no readable record.
    pub fn bytes_quarantined(&self) -> u64 {
        self.damage
            .iter()
            .map(|damage| damage.offsets.end - damage.offsets.start)
            .sum()
    }
}

/// A range of a segment that cannot be read, with valid records behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub segment: SegmentId,
    /// Where in the file. Empty when the bytes are not there at all.
    pub offsets: Range<u64>,
    /// The records that were lost with it, half-open. Empty when none was, and in one case when it
    /// cannot be told: in the oldest segment, when its header and its first record are both bad.
    pub positions: Range<Position>,
    pub reason: Reason,
}

/// Why a range cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// No valid frame starts here.
    Checksum,
    /// The head of the segment; its records do not depend on it.
    Header,
    /// The frame is as it was written, and not a record that this program knows.
    Payload,
    /// The frame repeats a position that came before; the first one counts.
    Duplicate,
    /// No bytes are bad, but positions are missing before this offset.
    Gap,
    /// There is no file for this segment, though there are files before and after it.
    MissingSegment,
}

/// Bytes at the end of a segment behind which no record is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    pub segment: SegmentId,
    pub offsets: Range<u64>,
}
