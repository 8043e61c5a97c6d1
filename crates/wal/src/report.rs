//! The report of a replay.

use std::ops::Range;

use crate::position::{Position, SegmentId};

/// The result of reading a log. Every loss that can be noticed is in it.
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
    /// The first position that the oldest segment may hold; `None` without segments. Earlier
    /// positions were trimmed, or their segments are missing: compare it with the committed
    /// positions.
    pub first_position: Option<Position>,
    /// The parts of the log that cannot be read any more. If there are any, a person must look at
    /// them.
    pub damage: Vec<Damage>,
    /// Ends of segments that were being written when the process or the power failed. They hold
    /// nothing that was synced, with one exception: later damage to the last bytes of the last
    /// segment looks the same.
    pub torn_tails: Vec<TornTail>,
    /// Entries of the directory that are not segments. They are left as they are.
    pub ignored: Vec<String>,
}

impl ReplayReport {
    /// Returns the number of records that were lost by damage.
    pub fn records_lost(&self) -> u64 {
        self.damage
            .iter()
            .map(|damage| damage.positions.end.0 - damage.positions.start.0)
            .sum()
    }

    /// Returns the number of bytes that are in the files and belong to no readable record.
    pub fn bytes_quarantined(&self) -> u64 {
        self.damage
            .iter()
            .map(|damage| damage.offsets.end - damage.offsets.start)
            .sum()
    }
}

/// A range of a segment that cannot be read, with valid records after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub segment: SegmentId,
    /// The range in the file. It is empty if the bytes are missing.
    pub offsets: Range<u64>,
    /// The positions of the records that were lost, half-open. It is empty if no record was lost.
    /// It is also empty if the header and the first record of the oldest segment are both bad,
    /// since the loss is unknown then.
    pub positions: Range<Position>,
    pub reason: Reason,
}

/// Why a range cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// No valid frame starts here.
    Checksum,
    /// The header of the segment is bad. Its records do not depend on it.
    Header,
    /// The frame is intact, but it is not a record that this program knows.
    Payload,
    /// The frame repeats an earlier position. The first frame with a position counts.
    Duplicate,
    /// No bytes are bad, but positions are missing before this offset.
    Gap,
    /// There is no file for this segment, though there are files before and after it.
    MissingSegment,
}

/// Bad bytes at the end of a segment, with no record missing after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    pub segment: SegmentId,
    pub offsets: Range<u64>,
}
