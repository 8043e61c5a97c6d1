//! `chunks/000001` and so on: segments with the samples of all series.
//!
//! ```text
//! segment := magic:u32be version:u8 (1) padding:3 bytes chunk*
//! chunk   := length:uvarint encoding:u8 data crc32c:u32be of encoding and data
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duramen_proto::chunk::{Decoded, Encoding, decode};
use duramen_runtime::Disk;

use crate::bytes::{Bytes, VARINT_BYTES_MAX};
use crate::error::Error;
use crate::file::SourceFile;

pub(crate) const MAGIC: u32 = 0x85bd_40dd;
pub(crate) const VERSION: u8 = 1;
pub(crate) const HEAD_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 4;
/// The data of one chunk. Those of floats have about a hundred bytes, those of histograms about a
/// thousand.
const DATA_BYTES_MAX: usize = 16 << 20;
/// A chunk of histograms may repeat a large one with a few bits. So its number of samples times its
/// bytes is bounded; decoded, it has at most some hundred times as many.
const HISTOGRAM_WORK_MAX: usize = 4 << 20;

/// The segments of a block.
#[derive(Debug)]
pub(crate) struct Segments {
    directory: PathBuf,
    files: Vec<SourceFile>,
}

impl Segments {
    /// Opens all segments.
    pub(crate) fn open(disk: &Arc<dyn Disk>, directory: &Path) -> Result<Self, Error> {
        let mut files = Vec::new();

        for number in 1..=u32::MAX {
            let path = directory.join(format!("{number:06}"));

            match disk.stat(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(source) => return Err(Error::Disk { path, source }),
                Ok(_) => files.push(open_segment(disk, path)?),
            }
        }

        Ok(Self {
            directory: directory.to_owned(),
            files,
        })
    }

    /// Reads the samples of a chunk.
    pub(crate) fn read(&mut self, reference: u64) -> Result<Decoded, Error> {
        let offset = reference & u64::from(u32::MAX);
        let segment = usize::try_from(reference >> 32).unwrap_or(usize::MAX);

        let Some(file) = self.files.get_mut(segment) else {
            return Err(Error::Malformed {
                path: self.directory.clone(),
                offset,
                what: "the index names a segment that the block does not have",
            });
        };

        if offset < HEAD_BYTES as u64 {
            return Err(file.malformed(offset, "the index names a chunk in the head of a segment"));
        }

        let mut head = Bytes(file.up_to(offset, VARINT_BYTES_MAX)?);
        let before = head.len();
        let length = head.length().filter(|length| *length <= DATA_BYTES_MAX);
        let head_bytes = before - head.len();

        let what = "a chunk has a length that none has";
        let length = length.ok_or_else(|| file.malformed(offset, what))?;
        let start = offset + head_bytes as u64;
        let bytes = file.exactly(start, 1 + length + CHECKSUM_BYTES)?;

        parse(bytes, length).map_err(|what| file.malformed(offset, what))
    }
}

fn open_segment(disk: &Arc<dyn Disk>, path: PathBuf) -> Result<SourceFile, Error> {
    let mut file = SourceFile::open(disk, path)?;
    let mut head = Bytes(file.up_to(0, HEAD_BYTES)?);

    match (head.u32(), head.byte()) {
        (Some(MAGIC), Some(VERSION)) => Ok(file),
        _ => Err(file.malformed(0, "the file does not begin as a segment of version 1 does")),
    }
}

/// Parses an encoding, `length` bytes of data, and a checksum.
fn parse(bytes: &[u8], length: usize) -> Result<Decoded, &'static str> {
    let (chunk, checksum) = bytes.split_at_checked(1 + length).unwrap_or_default();

    if Bytes(checksum).u32() != Some(crc32c::crc32c(chunk)) {
        return Err("the checksum of a chunk differs");
    }

    let (encoding, data) = chunk.split_first().ok_or("a chunk is empty")?;
    let encoding = Encoding::of(u64::from(*encoding)).ok_or("a chunk has an unknown encoding")?;

    if encoding != Encoding::Xor {
        let samples = data
            .first_chunk()
            .map_or(0, |count| u16::from_be_bytes(*count));
        if usize::from(samples).saturating_mul(data.len()) > HISTOGRAM_WORK_MAX {
            return Err("a chunk of histograms is larger than Prometheus makes any");
        }
    }

    decode(encoding, data).ok_or("the data of a chunk cannot be decoded")
}
