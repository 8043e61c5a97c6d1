//! Reads a part of a log again while its owner writes to it.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use duramen_model::WriterId;
use duramen_runtime::Disk;

use crate::Result;
use crate::error::{ApplyError, Error};
use crate::header::{HEADER_LEN, Header};
use crate::position::{Position, SegmentId};
use crate::record::OwnedRecord;
use crate::replay::{Entry, Replay};
use crate::report::ReplayReport;
use crate::segments::Directory;

/// Hands the records of `positions` to `apply` in order. The log of `writer` in `dir` may be open.
/// Earlier records of the same segments are handed over first, since they define series.
///
/// The caller must make sure that `positions` are synced and that their segments are not trimmed
/// meanwhile. Nothing is changed on the disk. The report lists damage, as with
/// [`crate::Wal::open`]; an append by the owner at the same time may show as a torn tail.
pub fn reread(
    disk: Arc<dyn Disk>,
    dir: &Path,
    writer: WriterId,
    positions: Range<Position>,
    mut apply: impl FnMut(SegmentId, Position, OwnedRecord) -> Result<(), ApplyError>,
) -> Result<ReplayReport> {
    let directory = Directory::of_another(disk, dir);
    let mut replay = Replay::new(writer, Vec::new());

    for segment in holding(&directory, &positions)? {
        let bytes = directory.read(segment)?;
        replay.segment(&directory, segment, &bytes, &mut |entry: Entry<'_>| {
            if entry.position >= positions.end {
                return Ok(());
            }

            apply(entry.segment, entry.position, entry.record)
        })?;
    }

    Ok(replay.finish().report)
}

/// Returns the segments that may hold one of `positions`. A segment without a readable header is
/// among them.
fn holding(directory: &Directory, positions: &Range<Position>) -> Result<Vec<SegmentId>> {
    let mut firsts = Vec::new();

    for segment in directory.list()?.segments {
        let path = directory.segment_path(segment);
        let header = match directory.disk.read_at(&path, 0, HEADER_LEN) {
            Ok(bytes) => Header::decode(&bytes),
            // Trimmed after it was listed, so it is not needed; or too short to hold a record.
            Err(e)
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::UnexpectedEof
                ) =>
            {
                continue;
            }
            Err(source) => return Err(Error::disk("read", path)(source)),
        };

        firsts.push((segment, header.map(|header| header.first_position)));
    }

    let is_needed = |at: usize, first: Option<Position>| {
        let next = firsts[at + 1..].iter().find_map(|(_, first)| *first);
        first.is_none_or(|first| first < positions.end)
            && next.is_none_or(|next| next > positions.start)
    };

    let needed = firsts
        .iter()
        .enumerate()
        .filter(|(at, (_, first))| is_needed(*at, *first));

    Ok(needed.map(|(_, (segment, _))| *segment).collect())
}
