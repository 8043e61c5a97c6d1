//! Reads the segments in order, and tells torn tails from damage.
//!
//! Positions are contiguous, so a loss can be named: a range of bad bytes lost the positions
//! between the last good record before it and the first good record after it, whatever segment that
//! is in. Bad bytes at the end of a segment are a torn tail if no position is missing after them,
//! or if nothing follows: the process or the power failed before this append was synced.

#![deny(clippy::indexing_slicing)]

use std::ops::Range;

use duramen_model::WriterId;

use crate::ahead::{Content, Item, read_ahead};
use crate::error::{ApplyError, Error};
use crate::frame::{HEAD_LEN, Salt, kind, take_frame};
use crate::header::{HEADER_LEN, Header, VERSION};
use crate::payload::Decoder;
use crate::position::{Position, SegmentId};
use crate::record::OwnedRecord;
use crate::report::{Damage, Reason, ReplayReport, TornTail};
use crate::segments::Directory;

/// The caller's function for replayed records.
pub(crate) type Apply<'a> = dyn FnMut(Entry<'_>) -> Result<(), ApplyError> + 'a;

/// A replayed record, with access to the records before it in its segment.
#[derive(Debug)]
pub struct Entry<'s> {
    pub segment: SegmentId,
    pub position: Position,
    pub record: OwnedRecord,
    /// The offset of the record's frame in its segment.
    pub offset: usize,
    /// The bytes of the log before the record.
    pub bytes_before: u64,
    bytes: &'s [u8],
    salt: Salt,
    decoder: &'s mut Decoder,
}

impl Entry<'_> {
    /// Returns the series that the record at `offset` of the same segment defines. A caller that
    /// may need them later keeps the offset only. Returns no series if no record starts there.
    pub fn definitions_at(&mut self, offset: usize) -> Vec<(u32, Vec<u8>)> {
        let frame = self
            .bytes
            .get(offset..)
            .and_then(|rest| take_frame(rest, self.salt));

        let record = frame
            .filter(|frame| frame.kind == kind::WRITE)
            .and_then(|frame| self.decoder.decode(frame.payload));
        record.map_or_else(Vec::new, |record| record.series)
    }
}

/// A frame among the bytes of its segment.
struct Placed<'s> {
    segment: SegmentId,
    bytes: &'s [u8],
    offsets: Range<usize>,
    salt: Salt,
}

/// The state of a replay.
#[derive(Debug)]
pub(crate) struct Replay {
    writer: WriterId,
    decoder: Decoder,
    report: ReplayReport,
    /// The position that should come next; `None` before the first one is known.
    expected: Option<Position>,
    /// The previous segment, with the position after its last record.
    previous: Option<(SegmentId, Option<Position>)>,
    /// Ranges of bad bytes, gaps and missing segments. The next known position decides what they
    /// lost.
    undecided: Vec<(SegmentId, Range<u64>, Reason)>,
}

/// The result of a replay.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) report: ReplayReport,
    /// The position after the last record.
    pub(crate) end: Position,
    /// The largest number of records that the torn tail of the last segment may hold. Their
    /// positions are not used again.
    pub(crate) torn_records_max: u64,
}

impl Replay {
    pub(crate) fn new(writer: WriterId, ignored: Vec<String>) -> Self {
        Self {
            writer,
            decoder: Decoder::new(),
            report: ReplayReport {
                ignored,
                ..ReplayReport::default()
            },
            expected: None,
            previous: None,
            undecided: vec![],
        }
    }

    /// Reads the next segment. Returns the first position that it may hold.
    pub(crate) fn segment(
        &mut self,
        directory: &Directory,
        segment: SegmentId,
        bytes: &[u8],
        apply: &mut Apply<'_>,
    ) -> Result<Position, Error> {
        self.report.segments += 1;
        self.report.bytes += bytes.len() as u64;
        self.note_missing(segment);
        self.header(directory, segment, bytes)?;

        let first = self.expected;

        let salt = Salt::new(self.writer, segment);
        std::thread::scope(|scope| {
            let path = directory.segment_path(segment);
            let items =
                read_ahead(scope, bytes, salt).map_err(Error::disk("start a thread for", path))?;

            for item in items {
                match item {
                    Item::Frame {
                        offsets,
                        last,
                        content,
                    } => {
                        let frame = Placed {
                            segment,
                            bytes,
                            offsets,
                            salt,
                        };
                        self.frame(frame, last, content, apply)?;
                    }
                    Item::Bad { offsets } => {
                        let bad = (segment, wide(offsets), Reason::Checksum);
                        self.undecided.push(bad);
                    }
                }
            }

            Ok(())
        })?;

        self.previous = Some((segment, self.expected));
        Ok(first.or(self.report.first_position).unwrap_or(Position(1)))
    }

    /// Ends the replay after the last segment.
    pub(crate) fn finish(mut self) -> Replayed {
        let torn: u64 = self
            .undecided
            .iter()
            .map(|(_, offsets, _)| offsets.end - offsets.start)
            .sum();

        self.settle(None, self.expected);

        let torn_records_max = if torn == 0 {
            0
        } else {
            torn / HEAD_LEN as u64 + 1
        };

        Replayed {
            report: self.report,
            end: self.expected.unwrap_or(Position(1)),
            torn_records_max,
        }
    }

    /// Notes a hole in the numbers of the segments. They are contiguous, since trimming removes
    /// only the oldest.
    fn note_missing(&mut self, segment: SegmentId) {
        if let Some((previous, _)) = self.previous
            && segment > previous.next()
        {
            self.undecided
                .push((previous.next(), 0..0, Reason::MissingSegment));
        }
    }

    /// Reads the header of a segment. A damaged one is not an error: the frames are readable
    /// without it.
    fn header(
        &mut self,
        directory: &Directory,
        segment: SegmentId,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let Some(header) = Header::decode(bytes) else {
            let offsets = 0..bytes.len().min(HEADER_LEN) as u64;
            if self.expected.is_none() && segment == SegmentId(1) {
                self.reach(segment, 0, Position(1));
            }

            self.note_damage(segment, offsets, Reason::Header);
            return Ok(());
        };

        self.check_header(directory, segment, &header)?;
        self.reach(segment, 0, header.first_position);
        Ok(())
    }

    fn check_header(
        &self,
        directory: &Directory,
        segment: SegmentId,
        header: &Header,
    ) -> Result<(), Error> {
        let path = || directory.segment_path(segment);

        if header.writer != self.writer {
            return Err(Error::Foreign {
                path: path(),
                expected: self.writer,
                actual: header.writer,
            });
        }

        if header.version != VERSION {
            return Err(Error::Version {
                path: path(),
                version: header.version,
            });
        }

        if header.segment != segment {
            return Err(Error::Misnamed {
                path: path(),
                expected: segment,
                actual: header.segment,
            });
        }

        let start = header.first_position;

        match self.previous {
            Some((previous, Some(end))) if start < end => Err(Error::Overlap {
                earlier: directory.segment_path(previous),
                end,
                later: path(),
                start,
            }),
            _ => Ok(()),
        }
    }

    /// Notes damage that lost no record.
    fn note_damage(&mut self, segment: SegmentId, offsets: Range<u64>, reason: Reason) {
        let at = self.expected.unwrap_or_default();
        self.report.damage.push(Damage {
            segment,
            offsets,
            positions: at..at,
            reason,
        });
    }

    /// Takes a valid frame: finds its place among the positions, and hands its record over.
    fn frame(
        &mut self,
        frame: Placed<'_>,
        last: Position,
        content: Content,
        apply: &mut Apply<'_>,
    ) -> Result<(), Error> {
        let Placed {
            segment,
            bytes,
            offsets,
            salt,
        } = frame;
        let offset = offsets.start;
        let offsets = wide(offsets);

        let first = match content {
            Content::Void(first) => first,
            Content::Record(_) => Some(last),
        };

        let Some(first) =
            first.filter(|first| self.expected.is_none_or(|expected| *first >= expected))
        else {
            self.note_damage(segment, offsets, Reason::Duplicate);
            return Ok(());
        };

        self.reach(segment, offsets.start, first);
        self.expected = Some(last.next());

        let record = match content {
            Content::Void(_) => return Ok(()),
            Content::Record(record) => record,
        };

        let Some(record) = record else {
            self.report.damage.push(Damage {
                segment,
                offsets,
                positions: last..last.next(),
                reason: Reason::Payload,
            });

            return Ok(());
        };

        self.report.records += 1;
        self.report.samples += record.values.len() as u64;

        let entry = Entry {
            segment,
            position: last,
            record: *record,
            offset,
            bytes_before: self
                .report
                .bytes
                .saturating_sub((bytes.len() - offset) as u64),
            bytes,
            salt,
            decoder: &mut self.decoder,
        };

        apply(entry).map_err(|source| Error::Apply {
            segment,
            position: last,
            source,
        })
    }

    /// Records that the replay has read everything before `position`, at `offset` of `segment`.
    /// This decides what is undecided.
    fn reach(&mut self, segment: SegmentId, offset: u64, position: Position) {
        let expected = *self.expected.get_or_insert(position);
        self.report.first_position.get_or_insert(expected);

        if self.undecided.is_empty() && expected < position {
            self.undecided.push((segment, offset..offset, Reason::Gap));
        }

        self.settle(Some(segment), Some(position));
        self.expected = Some(position);
    }

    /// Decides what is undecided: the log goes on at `position` in segment `at`, or it ends there
    /// if `at` is `None`.
    fn settle(&mut self, at: Option<SegmentId>, position: Option<Position>) {
        let end = position.unwrap_or_default();
        let mut start = self.expected.unwrap_or(end);

        for (segment, offsets, reason) in self.undecided.drain(..) {
            let is_tail = at != Some(segment) && reason == Reason::Checksum;

            if is_tail && start >= end {
                self.report.torn_tails.push(TornTail { segment, offsets });
            } else {
                // The first range takes the whole loss: it is unknown which of the ranges lost
                // which position.
                self.report.damage.push(Damage {
                    segment,
                    offsets,
                    positions: start..end,
                    reason,
                });

                start = end;
            }
        }
    }
}

fn wide(offsets: Range<usize>) -> Range<u64> {
    offsets.start as u64..offsets.end as u64
}
