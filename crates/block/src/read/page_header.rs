//! The header in front of each page: a struct in Thrift's compact protocol.
//!
//! Only what the pages of samples need is kept. A page of another type or encoding is refused.

use parquet::errors::Result;

use crate::read::varint::{self, malformed};

/// Structs that are skipped are not nested deeper than this.
const DEPTH_MAX: usize = 4;

/// The types of fields in the compact protocol. Containers do not occur in a page header.
mod wire {
    pub(super) const STOP: u8 = 0;
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I32: u8 = 5;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const STRUCT: u8 = 12;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageKind {
    Data,
    Dictionary,
}

/// How the values of a page are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    Dictionary,
    DeltaBinaryPacked,
    ByteStreamSplit,
}

/// What a page says about itself. The numbers are claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageHeader {
    pub(crate) kind: PageKind,
    pub(crate) encoding: Encoding,
    /// The number of values, nulls included.
    pub(crate) values: usize,
    /// The bytes behind the header, decompressed.
    pub(crate) bytes: usize,
    /// The bytes behind the header in the file.
    pub(crate) stored_bytes: usize,
}

impl PageHeader {
    /// Takes a header off the front of `input`. Nothing is allocated.
    pub(crate) fn read(input: &mut &[u8]) -> Result<Self> {
        let mut kind = None;
        let mut bytes = None;
        let mut stored_bytes = None;
        let mut data = None;
        let mut dictionary = None;
        let mut id = 0;

        while let Some(wire) = next_field(input, &mut id)? {
            match id {
                1 => kind = Some(integer(input, wire)?),
                2 => bytes = Some(integer(input, wire)?),
                3 => stored_bytes = Some(integer(input, wire)?),
                5 => data = Some(Values::read(input, wire)?),
                7 => dictionary = Some(Values::read(input, wire)?),
                _ => skip(input, wire, DEPTH_MAX)?,
            }
        }

        let (kind, values) = match (kind, data, dictionary) {
            (Some(0), Some(data), None) if data.levels_are_runs => (PageKind::Data, data),
            (Some(2), None, Some(dictionary)) => (PageKind::Dictionary, dictionary),
            _ => return Err(malformed("a page has a type that the format does not use")),
        };

        Ok(Self {
            kind,
            encoding: values.encoding,
            values: values.count,
            bytes: size(bytes)?,
            stored_bytes: size(stored_bytes)?,
        })
    }
}

/// What the header says about the values of a data page or of a dictionary.
#[derive(Clone, Copy)]
struct Values {
    count: usize,
    encoding: Encoding,
    /// Whether the definition levels, if there are any, are encoded as RLE. A dictionary has none.
    levels_are_runs: bool,
}

impl Values {
    fn read(input: &mut &[u8], wire: u8) -> Result<Self> {
        if wire != wire::STRUCT {
            return Err(malformed("a field of a page header has another type"));
        }

        let mut count = None;
        let mut encoding = None;
        let mut levels = None;
        let mut id = 0;

        while let Some(wire) = next_field(input, &mut id)? {
            match id {
                1 => count = Some(integer(input, wire)?),
                2 => encoding = Some(integer(input, wire)?),
                // A dictionary says here whether it is sorted.
                3 if wire == wire::I32 => levels = Some(integer(input, wire)?),
                _ => skip(input, wire, DEPTH_MAX)?,
            }
        }

        let encoding = match encoding {
            Some(0) => Encoding::Plain,
            // 2 is the older name of 8.
            Some(2 | 8) => Encoding::Dictionary,
            Some(5) => Encoding::DeltaBinaryPacked,
            Some(9) => Encoding::ByteStreamSplit,
            _ => {
                return Err(malformed(
                    "a page has an encoding that the format does not use",
                ));
            }
        };

        Ok(Self {
            count: size(count)?,
            encoding,
            levels_are_runs: levels == Some(3),
        })
    }
}

fn size(number: Option<i64>) -> Result<usize> {
    number
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| malformed("a page header has no number of bytes or values"))
}

/// Reads the header of the next field. `id` is that of the field before, 0 at first, and becomes
/// that of this one. Returns the type, or `None` at the end of the struct.
fn next_field(input: &mut &[u8], id: &mut i16) -> Result<Option<u8>> {
    let byte = varint::byte(input)?;
    let wire = byte & 0xf;

    if wire == wire::STOP {
        return Ok(None);
    }

    let next = match byte >> 4 {
        0 => i16::try_from(varint::signed(input)?).ok(),
        step => id.checked_add(i16::from(step)),
    };

    *id = next.ok_or_else(|| malformed("a page header has a field without a number"))?;
    Ok(Some(wire))
}

fn integer(input: &mut &[u8], wire: u8) -> Result<i64> {
    match wire {
        wire::I16..=wire::I64 => varint::signed(input),
        _ => Err(malformed("a field of a page header has another type")),
    }
}

/// Skips a field that the reader does not need, for example statistics. `depth` says how many
/// structs may be inside of each other.
fn skip(input: &mut &[u8], wire: u8, depth: usize) -> Result<()> {
    match wire {
        // The type is the value.
        wire::TRUE | wire::FALSE => {}
        wire::BYTE => drop(varint::byte(input)?),
        wire::I16..=wire::I64 => drop(varint::signed(input)?),
        wire::DOUBLE => drop(varint::bytes(input, 8)?),
        wire::BINARY => {
            let length = varint::unsigned(input)?;
            varint::bytes(input, usize::try_from(length).unwrap_or(usize::MAX))?;
        }
        wire::STRUCT if depth > 0 => {
            let mut id = 0;
            while let Some(wire) = next_field(input, &mut id)? {
                skip(input, wire, depth - 1)?;
            }
        }
        _ => {
            return Err(malformed(
                "a page header has a field that cannot be skipped",
            ));
        }
    }

    Ok(())
}
