//! `index` of version 2: the labels and the chunks of each series.
//!
//! ```text
//! file    := magic:u32be version:u8 (2) .. symbols .. series .. toc
//! toc     := six offsets:u64be of sections, of which two are read here: symbols, series; crc32c:u32be
//! symbols := length:u32be count:u32be (length:uvarint text)* crc32c:u32be
//! series  := (padding to 16 bytes, length:uvarint entry crc32c:u32be)*
//! entry   := labels:uvarint (name:uvarint value:uvarint)*                           numbers of symbols
//!            chunks:uvarint (first_ms length_ms:uvarint reference)*
//! ```
//!
//! The first chunk has its time as a varint and its reference as an uvarint; the others have the
//! difference to the last time (uvarint) and to the reference (varint) of the chunk before.

use std::path::PathBuf;
use std::sync::Arc;

use duramen_model::{Labels, TimeRange};
use duramen_runtime::Disk;

use crate::bytes::{Bytes, VARINT_BYTES_MAX};
use crate::error::Error;
use crate::file::SourceFile;

pub(crate) const MAGIC: u32 = 0xbaaa_d700;
pub(crate) const VERSION: u8 = 2;
const HEAD_BYTES: usize = 5;
const TOC_BYTES: usize = 52;
const SECTIONS: usize = 6;
const CHECKSUM_BYTES: usize = 4;
pub(crate) const ALIGNMENT: u64 = 16;
/// The symbols of an index are in memory.
const SYMBOLS_BYTES_MAX: usize = 1 << 30;
/// The entry of one series: some hundred labels, and the chunks of a month.
const ENTRY_BYTES_MAX: usize = 16 << 20;

/// A series of an index: its number, which tombstones use as well. Its entry is at 16 times that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef(pub(crate) u64);

/// A chunk of a series, as the index names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRef {
    /// Both inclusive.
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    /// The number of the segment, from 0, and the offset in it.
    pub(crate) reference: u64,
}

impl ChunkRef {
    pub(crate) fn overlaps(&self, range: TimeRange) -> bool {
        self.first_ms < range.end_ms() && self.last_ms >= range.start_ms()
    }
}

#[derive(Debug)]
pub(crate) struct Index {
    file: SourceFile,
    symbols: Symbols,
    /// Where the entries of series are.
    series: std::ops::Range<u64>,
}

impl Index {
    /// Reads the table of contents and the symbols.
    pub(crate) fn open(disk: &Arc<dyn Disk>, path: PathBuf) -> Result<Self, Error> {
        let mut file = SourceFile::open(disk, path)?;
        let mut head = Bytes(file.up_to(0, HEAD_BYTES)?);

        match (head.u32(), head.byte()) {
            (Some(MAGIC), Some(VERSION)) => {}
            (Some(MAGIC), Some(version)) => {
                return Err(Error::Unsupported {
                    path: file.path().to_owned(),
                    what: format!("an index of version {version} cannot be read, only of 2"),
                });
            }
            _ => return Err(file.malformed(0, "the file does not begin as an index does")),
        }

        let sections = sections(&mut file)?;
        let [symbols, series, behind @ ..] = sections;
        let toc = file.bytes() - TOC_BYTES as u64;

        // The others follow, and some may be absent (0).
        let end = behind
            .into_iter()
            .filter(|start| *start >= series)
            .fold(toc, u64::min);

        if series < HEAD_BYTES as u64 || series > toc {
            return Err(file.malformed(toc, "the series are outside of the file"));
        }

        let symbols = Symbols::read(&mut file, symbols)?;
        Ok(Self {
            file,
            symbols,
            series: series..end,
        })
    }

    /// Calls `visit` with each series and its labels, in the order of the file.
    pub(crate) fn each(
        &mut self,
        mut visit: impl FnMut(SeriesRef, Labels) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut at = self.series.start.next_multiple_of(ALIGNMENT);

        while at < self.series.end {
            let series = SeriesRef(at / ALIGNMENT);
            let (labels, _, end) = self.entry(series)?;
            visit(series, labels)?;
            at = end.next_multiple_of(ALIGNMENT);
        }

        Ok(())
    }

    /// Returns the chunks of a series.
    pub(crate) fn chunks(&mut self, series: SeriesRef) -> Result<Vec<ChunkRef>, Error> {
        self.entry(series).map(|(_, chunks, _)| chunks)
    }

    /// Returns the labels and chunks of a series, and where its entry ends.
    fn entry(&mut self, series: SeriesRef) -> Result<(Labels, Vec<ChunkRef>, u64), Error> {
        let at = series.0.saturating_mul(ALIGNMENT);
        let mut head = Bytes(self.file.up_to(at, VARINT_BYTES_MAX)?);
        let before = head.len();
        let length = head.length().filter(|length| *length <= ENTRY_BYTES_MAX);
        let head_bytes = before - head.len();

        let what = "the entry of a series has a length that none has";
        let length = length.ok_or_else(|| self.file.malformed(at, what))?;
        let start = at + head_bytes as u64;
        let bytes = self.file.exactly(start, length + CHECKSUM_BYTES)?;

        let (entry, checksum) = bytes.split_at_checked(length).unwrap_or_default();
        let expected = Bytes(checksum).u32();

        let parsed = if expected == Some(crc32c::crc32c(entry)) {
            parse(entry, &self.symbols)
        } else {
            Err("the checksum of a series differs")
        };

        let (labels, chunks) = parsed.map_err(|what| self.file.malformed(at, what))?;
        let end = start + (length + CHECKSUM_BYTES) as u64;
        Ok((labels, chunks, end))
    }
}

/// Reads the offsets of the sections.
fn sections(file: &mut SourceFile) -> Result<[u64; SECTIONS], Error> {
    let at = file.bytes().checked_sub(TOC_BYTES as u64);
    let at = at.ok_or_else(|| file.malformed(0, "the index ends before its table of contents"))?;
    let bytes = file.exactly(at, TOC_BYTES)?;
    let (numbers, checksum) = bytes
        .split_at_checked(TOC_BYTES - CHECKSUM_BYTES)
        .unwrap_or_default();

    if Bytes(checksum).u32() != Some(crc32c::crc32c(numbers)) {
        return Err(file.malformed(at, "the checksum of the table of contents differs"));
    }

    let mut numbers = Bytes(numbers);
    Ok([0; SECTIONS].map(|_| numbers.u64().unwrap_or(0)))
}

/// Parses the entry of a series.
fn parse(entry: &[u8], symbols: &Symbols) -> Result<(Labels, Vec<ChunkRef>), &'static str> {
    const CUT: &str = "the entry of a series is cut off";
    let mut bytes = Bytes(entry);
    let count = bytes.length().ok_or(CUT)?;

    // Each label takes at least two bytes.
    if count > bytes.len() / 2 {
        return Err(CUT);
    }

    let mut pairs = Vec::with_capacity(count);

    for _ in 0..count {
        let mut symbol = || {
            let number = bytes.length().ok_or(CUT)?;
            symbols
                .get(number)
                .ok_or("a series names a symbol that the index does not have")
        };
        pairs.push((symbol()?, symbol()?));
    }

    let labels =
        Labels::from_pairs(pairs).ok_or("a series has a label without a name, or one twice")?;
    let chunks = parse_chunks(&mut bytes).ok_or(CUT)?;
    Ok((labels, chunks))
}

fn parse_chunks(bytes: &mut Bytes<'_>) -> Option<Vec<ChunkRef>> {
    let count = bytes.length()?;

    // Each chunk takes at least three bytes.
    if count > bytes.len() / 3 {
        return None;
    }

    let mut chunks: Vec<ChunkRef> = Vec::with_capacity(count);

    for _ in 0..count {
        let first_ms = match chunks.last() {
            None => bytes.varint()?,
            // Chunks that overlap make it wrap around.
            Some(before) => before.last_ms.wrapping_add(bytes.uvarint()?.cast_signed()),
        };

        let last_ms = first_ms.checked_add_unsigned(bytes.uvarint()?)?;

        let reference = match chunks.last() {
            None => bytes.uvarint()?,
            Some(before) => before.reference.wrapping_add_signed(bytes.varint()?),
        };

        chunks.push(ChunkRef {
            first_ms,
            last_ms,
            reference,
        });
    }

    Some(chunks)
}

/// The texts that labels are made of.
#[derive(Debug)]
struct Symbols {
    texts: String,
    /// Where each text ends.
    ends: Vec<u32>,
}

impl Symbols {
    fn read(file: &mut SourceFile, at: u64) -> Result<Self, Error> {
        let length = Bytes(file.exactly(at, 4)?).u32().unwrap_or(0) as usize;

        if length > SYMBOLS_BYTES_MAX {
            return Err(file.malformed(at, "the symbols have more than 1 GiB"));
        }

        let bytes = file.exactly(at + 4, length + CHECKSUM_BYTES)?;
        let (symbols, checksum) = bytes.split_at_checked(length).unwrap_or_default();

        let parsed = if Bytes(checksum).u32() == Some(crc32c::crc32c(symbols)) {
            Self::parse(symbols)
        } else {
            Err("the checksum of the symbols differs")
        };

        parsed.map_err(|what| file.malformed(at, what))
    }

    fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        const CUT: &str = "the symbols are cut off";
        let mut bytes = Bytes(bytes);
        let count = bytes.u32().ok_or(CUT)? as usize;

        // Each symbol takes at least one byte.
        if count > bytes.len() {
            return Err(CUT);
        }

        let mut texts = String::with_capacity(bytes.len());
        let mut ends = Vec::with_capacity(count);

        for _ in 0..count {
            let length = bytes.length().ok_or(CUT)?;
            let text = bytes.take(length).ok_or(CUT)?;
            let text = std::str::from_utf8(text).map_err(|_| "a symbol is not UTF-8")?;

            texts.push_str(text);
            ends.push(u32::try_from(texts.len()).map_err(|_| CUT)?);
        }

        Ok(Self { texts, ends })
    }

    fn get(&self, number: usize) -> Option<&str> {
        let end = *self.ends.get(number)? as usize;
        let start = match number.checked_sub(1) {
            None => 0,
            Some(before) => *self.ends.get(before)? as usize,
        };

        self.texts.get(start..end)
    }
}
