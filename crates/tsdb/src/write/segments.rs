//! Writes `chunks/000001` and so on. Their layout is in [`crate::chunks`].

use std::path::PathBuf;
use std::sync::Arc;

use duramen_proto::chunk::Chunk;
use duramen_runtime::Disk;

use crate::chunks::{HEAD_BYTES, MAGIC, VERSION};
use crate::error::Error;
use crate::write::output::Output;
use crate::write::put::{put_checksum, put_uvarint};

/// Prometheus makes no longer segment.
const SEGMENT_BYTES_MAX: u64 = 512 << 20;

#[derive(Debug)]
pub(crate) struct SegmentsWriter {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    /// The number of the open segment, from 0.
    segment: u64,
    open: Option<Output>,
    bytes: u64,
    scratch: Vec<u8>,
}

impl SegmentsWriter {
    pub(crate) const fn new(disk: Arc<dyn Disk>, directory: PathBuf) -> Self {
        Self {
            disk,
            directory,
            segment: 0,
            open: None,
            bytes: 0,
            scratch: Vec::new(),
        }
    }

    /// Appends a chunk. Returns its reference.
    pub(crate) fn push(&mut self, chunk: &Chunk) -> Result<u64, Error> {
        self.scratch.clear();
        put_uvarint(chunk.data.len() as u64, &mut self.scratch);

        let start = self.scratch.len();
        self.scratch.push(chunk.encoding as u8);
        self.scratch.extend_from_slice(&chunk.data);

        let checksum = crc32c::crc32c(self.scratch.get(start..).unwrap_or_default());
        self.scratch.extend_from_slice(&checksum.to_be_bytes());

        let length = self.scratch.len() as u64;
        let is_full = |open: &Output| open.length() + length > SEGMENT_BYTES_MAX;

        if self.open.as_ref().is_some_and(is_full) {
            self.end_segment()?;
        }

        let open = match &mut self.open {
            Some(open) => open,
            none => {
                let path = self.directory.join(format!("{:06}", self.segment + 1));
                none.insert(begin(&self.disk, path)?)
            }
        };

        let reference = self.segment << 32 | open.length();
        open.put(&self.scratch)?;
        Ok(reference)
    }

    /// Completes the last segment. Returns the bytes of all.
    pub(crate) fn finish(mut self) -> Result<u64, Error> {
        self.end_segment()?;
        Ok(self.bytes)
    }

    fn end_segment(&mut self) -> Result<(), Error> {
        if let Some(open) = self.open.take() {
            self.bytes += open.finish()?;
            self.segment += 1;
        }

        Ok(())
    }
}

fn begin(disk: &Arc<dyn Disk>, path: PathBuf) -> Result<Output, Error> {
    let mut output = Output::create(disk, path)?;
    let mut head = MAGIC.to_be_bytes().to_vec();

    head.push(VERSION);
    head.resize(HEAD_BYTES, 0);
    output.put(&head)?;
    Ok(output)
}

/// The empty file of tombstones.
pub(crate) fn no_tombstones() -> Vec<u8> {
    let mut bytes = crate::tombstones::MAGIC.to_be_bytes().to_vec();
    bytes.push(crate::tombstones::VERSION);
    put_checksum(&[], &mut bytes);
    bytes
}
