//! The log: the open segment, the frames that wait for the next sync, and the closed segments.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use duramen_model::WriterId;
use duramen_runtime::disk::is_full;
use duramen_runtime::{Disk, DiskFile};

use crate::Result;
use crate::config::Config;
use crate::error::{ApplyError, Error};
use crate::frame::{Found, Frames, HEAD_LEN, Salt, kind, put_frame};
use crate::header::{HEADER_LEN, Header, VERSION};
use crate::payload::Encoder;
use crate::position::{Position, SegmentId};
use crate::record::{OwnedRecord, WriteRecord};
use crate::replay::{Entry, Replay, Replayed};
use crate::report::ReplayReport;
use crate::segments::{Created, Directory};

/// A segment of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    pub id: SegmentId,
    /// No record of the segment is before this position. The segment ends before the first position
    /// of the next one.
    pub first_position: Position,
    /// Size of the file.
    pub bytes: u64,
}

/// The calls that are possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Writing,
    /// The file may hold records after `open.bytes` that were not acknowledged. They must be cut
    /// off durably before anything else.
    NeedsCut,
    /// Records were dropped because the disk was full. Only a new segment may take more.
    NeedsSegment,
    Poisoned,
}

/// One write-ahead log. The crate's documentation describes its life.
pub struct Wal {
    directory: Directory,
    writer: WriterId,
    config: Config,
    encoder: Encoder,
    /// Closed segments, in order.
    closed: Vec<SegmentInfo>,
    open: SegmentInfo,
    file: Box<dyn DiskFile>,
    salt: Salt,
    /// Frames that wait for the next sync. They go to the file after `open.bytes`.
    buffer: Vec<u8>,
    /// The position that the next record gets.
    next: Position,
    /// The last position that is durable or that no record has.
    synced: Position,
    state: State,
}

impl Wal {
    /// Opens the log of `writer` in `dir` and creates the directory if it is missing. Verifies
    /// every record and hands each to `apply` in order, then starts a new segment. The records that
    /// were handed over are durable.
    ///
    /// A reference to a series is valid within one segment: each segment has its own definitions,
    /// and a later one replaces an earlier one. Segments are read into memory one at a time.
    ///
    /// Unreadable bytes are not an error; the report lists them. Segments of another writer, under
    /// a wrong name, of an unknown version or with overlapping positions are errors, and then
    /// nothing has been changed on the disk. An error of `apply` ends the replay with
    /// [`Error::Apply`].
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        writer: WriterId,
        config: Config,
        mut apply: impl FnMut(SegmentId, Position, OwnedRecord) -> Result<(), ApplyError>,
    ) -> Result<(Self, ReplayReport)> {
        Self::replay(disk, dir, writer, config, |entry| {
            apply(entry.segment, entry.position, entry.record)
        })
    }

    /// Opens the log like [`Wal::open`], for a caller that may need definitions of a segment again.
    pub fn replay(
        disk: Arc<dyn Disk>,
        dir: &Path,
        writer: WriterId,
        config: Config,
        mut apply: impl FnMut(Entry<'_>) -> Result<(), ApplyError>,
    ) -> Result<(Self, ReplayReport)> {
        let directory = Directory::open(disk, dir)?;
        let listing = directory.list()?;

        if let Some(last) = listing.segments.last() {
            directory.settle(*last)?;
        }

        let mut replay = Replay::new(writer, listing.ignored);
        let mut closed = Vec::with_capacity(listing.segments.len());

        for id in listing.segments {
            let bytes = directory.read(id)?;
            let first_position = replay.segment(&directory, id, &bytes, &mut apply)?;

            closed.push(SegmentInfo {
                id,
                first_position,
                bytes: bytes.len() as u64,
            });
        }

        let replayed = replay.finish();
        log(&replayed.report);

        for path in listing.unfinished {
            directory.remove_if_there(&path)?;
        }

        let wal = Self::begin(directory, writer, config, closed, &replayed)?;
        Ok((wal, replayed.report))
    }

    /// Starts a new segment after the replayed ones.
    fn begin(
        directory: Directory,
        writer: WriterId,
        config: Config,
        closed: Vec<SegmentInfo>,
        replayed: &Replayed,
    ) -> Result<Self> {
        let id = closed.last().map_or(SegmentId(1), |last| last.id.next());
        let open = SegmentInfo {
            id,
            first_position: replayed.end,
            bytes: HEADER_LEN as u64,
        };

        let file = match create(&directory, writer, open)? {
            Created::File(file) => file,
            Created::Full(error) | Created::Unsettled(error) => return Err(error),
        };

        let mut wal = Self {
            directory,
            writer,
            config,
            encoder: Encoder::new(),
            closed,
            open,
            file,
            salt: Salt::new(writer, id),
            buffer: vec![],
            next: replayed.end,
            synced: Position(replayed.end.0.saturating_sub(1)),
            state: State::Writing,
        };

        wal.skip_to(Position(
            replayed.end.0.saturating_add(replayed.torn_records_max),
        ));
        Ok(wal)
    }

    /// Hands the records of a closed segment over once more, in order. Its damage was reported when
    /// the log was opened.
    pub fn read(
        &self,
        segment: SegmentId,
        apply: &mut dyn FnMut(Position, OwnedRecord),
    ) -> Result<()> {
        let bytes = self.directory.read(segment)?;
        let mut replay = Replay::new(self.writer, vec![]);
        let mut apply = |entry: Entry<'_>| -> Result<(), ApplyError> {
            apply(entry.position, entry.record);
            Ok(())
        };

        replay.segment(&self.directory, segment, &bytes, &mut apply)?;
        Ok(())
    }

    /// Returns the segment that takes the next record. Definitions of series are valid until it
    /// ends.
    pub const fn segment(&self) -> SegmentId {
        self.open.id
    }

    /// Returns whether [`Wal::rotate`] is due: the segment is large enough, or it lost records
    /// because the disk was full and takes no more.
    pub fn needs_rotation(&self) -> bool {
        let bytes = self.open.bytes + self.buffer.len() as u64;
        matches!(self.state, State::NeedsCut | State::NeedsSegment)
            || bytes >= self.config.segment_bytes_max
    }

    /// Syncs the appended records, then starts the next segment. Its header and its name are
    /// durable on return. All series must be defined again.
    ///
    /// On [`Error::Full`] the log goes on in the old segment, unless [`Wal::needs_segment`] returns
    /// true: then a rotation is still needed, and if the sync itself found no space, the records
    /// since the last sync are lost.
    pub fn rotate(&mut self) -> Result<()> {
        self.check_alive()?;
        match self.state {
            State::NeedsCut => self.cut()?,
            State::Writing => drop(self.sync()?),
            State::NeedsSegment | State::Poisoned => {}
        }

        let first_position = self.synced.next();
        let open = SegmentInfo {
            id: self.open.id.next(),
            first_position,
            bytes: HEADER_LEN as u64,
        };

        self.file = match create(&self.directory, self.writer, open) {
            Ok(Created::File(file)) => file,
            Ok(Created::Full(full)) => return Err(full),
            Ok(Created::Unsettled(full)) => {
                self.state = State::NeedsSegment;
                return Err(full);
            }
            Err(failed) => return Err(self.poison(failed)),
        };

        self.closed.push(self.open);
        self.open = open;
        self.salt = Salt::new(self.writer, open.id);
        self.state = State::Writing;
        self.put_void(self.next);

        Ok(())
    }

    /// Takes a record into memory, where it waits for [`Wal::sync`]. Does no input or output. The
    /// position is final once a sync has returned it or a later one. An error leaves the log
    /// unchanged. Panics if the columns differ in length.
    pub fn append(&mut self, record: &WriteRecord<'_>) -> Result<Position> {
        self.check_alive()?;
        if self.needs_segment() {
            return Err(Error::RotationNeeded {
                segment: self.open.id,
            });
        }

        let position = self.next;
        let payload = self.encoder.encode(record)?;

        put_frame(
            &mut self.buffer,
            self.salt,
            kind::WRITE,
            position.0,
            payload,
        );

        self.next = position.next();
        Ok(position)
    }

    /// Makes all records since the last sync durable, with one write and one fdatasync, or with
    /// none if there are no records. All positions up to and including the returned one are
    /// durable; 0 means that there is none yet.
    ///
    /// [`Error::Full`] can come from the write or from the fdatasync. Then none of the records
    /// since the last sync is acknowledged, now or later: answer all of them with the error, forget
    /// the definitions of series in them, and rotate. The file is cut back to its synced length;
    /// the cut is synced too, and the segment is read back. The log takes no record until that has
    /// succeeded.
    ///
    /// Any other error poisons the log, since a failed fdatasync leaves the content of the disk
    /// unknown: stop the process.
    pub fn sync(&mut self) -> Result<Position> {
        self.check_alive()?;
        if self.state == State::NeedsCut {
            self.cut()?;
        }

        if self.buffer.is_empty() {
            return Ok(self.synced);
        }

        let (action, written) = match self.file.append(&self.buffer) {
            Ok(()) => ("sync", self.file.sync_data()),
            failed => ("append", failed),
        };

        if let Err(source) = written {
            let path = self.directory.segment_path(self.open.id);
            if !is_full(&source) {
                return Err(self.poison(Error::Disk {
                    action,
                    path,
                    source,
                }));
            }

            self.buffer.clear();
            self.state = State::NeedsCut;

            // If the disk is too full for the cut as well, the next call tries it again first.
            match self.cut() {
                Ok(()) | Err(Error::Full { .. }) => {}
                Err(failed) => return Err(failed),
            }

            return Err(Error::Full { path, source });
        }

        self.open.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        self.synced = Position(self.next.0 - 1);

        Ok(self.synced)
    }

    /// Returns whether the open segment takes no more records. Then nothing can be appended before
    /// a [`Wal::rotate`] has succeeded.
    pub fn needs_segment(&self) -> bool {
        matches!(self.state, State::NeedsCut | State::NeedsSegment)
    }

    /// Deletes the segments whose records are all before `before`, oldest first, but never the open
    /// one. Returns how many. Each removal is durable before the next one, so a crash leaves no
    /// hole. On [`Error::Full`] the next call deletes the rest; any other error poisons the log.
    pub fn trim(&mut self, before: Position) -> Result<usize> {
        self.check_alive()?;

        let mut trimmed = 0;

        while let Some(oldest) = self.closed.first() {
            let end = self.closed.get(1).unwrap_or(&self.open).first_position;
            if end > before {
                break;
            }

            match self.directory.remove(oldest.id) {
                Ok(()) => {}
                Err(full @ Error::Full { .. }) => return Err(full),
                Err(failed) => return Err(self.poison(failed)),
            }

            self.closed.remove(0);
            trimmed += 1;
        }

        Ok(trimmed)
    }

    /// Makes sure that no later record gets a position before `position`. A start needs this if the
    /// committed state is ahead of the log, for example after the directory was lost. The next sync
    /// makes it durable.
    pub fn skip_to(&mut self, position: Position) {
        if self.state == State::Writing {
            self.put_void(position);
        }

        self.next = self.next.max(position);
    }

    /// Returns the position that the next record gets.
    pub const fn next_position(&self) -> Position {
        self.next
    }

    /// Returns the bytes in memory that wait for the next sync. The caller bounds them by its
    /// syncs.
    pub const fn pending_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Returns the size of all segments in bytes.
    pub fn bytes(&self) -> u64 {
        self.closed.iter().map(|segment| segment.bytes).sum::<u64>() + self.open.bytes
    }

    /// Returns all segments in order; the last one is open.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.closed.iter().copied().chain([self.open]).collect()
    }

    fn check_alive(&self) -> Result<()> {
        if self.state == State::Poisoned {
            Err(Error::Poisoned)
        } else {
            Ok(())
        }
    }

    fn poison(&mut self, error: Error) -> Error {
        self.state = State::Poisoned;
        self.buffer = vec![];
        tracing::error!(error = %error, "the write-ahead log takes no more records");

        error
    }

    /// Cuts the file back to its synced length. The cut is durable, so no dropped record comes
    /// back. The rest of the segment is read back, and a log that is not intact poisons itself.
    fn cut(&mut self) -> Result<()> {
        let path = self.directory.segment_path(self.open.id);
        let cut = self
            .file
            .truncate(self.open.bytes)
            .and_then(|()| self.file.sync_data());

        let read = cut.and_then(|()| self.directory.disk.read(&path));

        let whole = match read {
            Ok(bytes) => self.is_whole(&bytes),
            Err(source) if is_full(&source) => return Err(Error::Full { path, source }),
            Err(source) => {
                return Err(self.poison(Error::Disk {
                    action: "truncate",
                    path,
                    source,
                }));
            }
        };

        if !whole {
            let source = io::Error::new(
                io::ErrorKind::InvalidData,
                "the segment is not what was synced",
            );

            return Err(self.poison(Error::Disk {
                action: "read back",
                path,
                source,
            }));
        }

        self.state = State::NeedsSegment;
        Ok(())
    }

    /// Returns whether `bytes` are the open segment up to its last sync.
    fn is_whole(&self, bytes: &[u8]) -> bool {
        let is_frame = |found: Found<'_>| matches!(found, Found::Frame { .. });
        bytes.len() as u64 == self.open.bytes
            && Frames::new(bytes, HEADER_LEN, self.salt).all(is_frame)
    }

    /// Writes a frame that says: no record has the positions from the last one in the file or the
    /// buffer up to `end`, exclusive.
    fn put_void(&mut self, end: Position) {
        let start = if self.buffer.is_empty() {
            self.synced.next()
        } else {
            self.next
        };

        if start < end {
            let count = end.0 - start.0;
            put_frame(
                &mut self.buffer,
                self.salt,
                kind::VOID,
                end.0 - 1,
                &count.to_le_bytes(),
            );
        }
    }
}

impl fmt::Debug for Wal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wal")
            .field("segment", &self.open)
            .field("next", &self.next)
            .field("synced", &self.synced)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Returns the size of the log in `dir` in bytes.
pub fn bytes_in(disk: &Arc<dyn Disk>, dir: &Path) -> Result<u64> {
    Directory::of_another(Arc::clone(disk), dir).bytes()
}

fn create(directory: &Directory, writer: WriterId, open: SegmentInfo) -> Result<Created> {
    let SegmentInfo {
        id: segment,
        first_position,
        ..
    } = open;

    directory.create(&Header {
        version: VERSION,
        segment,
        first_position,
        writer,
    })
}

fn log(report: &ReplayReport) {
    for damage in &report.damage {
        tracing::error!(
            ?damage,
            "a part of the write-ahead log cannot be read and was passed over"
        );
    }

    for tail in &report.torn_tails {
        tracing::info!(
            ?tail,
            "a segment of the write-ahead log ends in an append that was not synced"
        );
    }

    if !report.ignored.is_empty() {
        tracing::warn!(names = ?report.ignored, "files in the write-ahead log's directory are not segments");
    }
}

const _: () = assert!(HEAD_LEN == 25, "docs/formats/wal.md says so");
