//! The head of a segment file.
//!
//! ```text
//! header := "DURAMWAL" version:u32 segment:u64 first_position:u64 writer[16] crc:u32          (little-endian, 48 bytes)
//! ```

#![deny(clippy::indexing_slicing)]

use crc32c::crc32c;
use duramen_model::WriterId;

use crate::position::{Position, SegmentId};
use crate::varint::Input;

const MAGIC: &[u8; 8] = b"DURAMWAL";
pub(crate) const HEADER_LEN: usize = 48;
/// The version that this program writes. It reads no other.
pub(crate) const VERSION: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: u32,
    pub(crate) segment: SegmentId,
    /// The position after the last record of the previous segment.
    pub(crate) first_position: Position,
    pub(crate) writer: WriterId,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&self.segment.0.to_le_bytes());
        out.extend_from_slice(&self.first_position.0.to_le_bytes());
        out.extend_from_slice(&self.writer.0.to_bytes());
        out.extend_from_slice(&crc32c(&out).to_le_bytes());

        out
    }

    /// Returns `None` if the bytes do not start with a valid header.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let checked = bytes.get(..HEADER_LEN - 4)?;
        let mut input = Input::new(bytes);
        let magic = input.array::<8>()?;
        let version = u32::from_le_bytes(input.array()?);
        let segment = SegmentId(u64::from_le_bytes(input.array()?));
        let first_position = Position(u64::from_le_bytes(input.array()?));
        let writer = WriterId(u128::from_be_bytes(input.array()?).into());
        let crc = u32::from_le_bytes(input.array()?);

        (magic == *MAGIC && crc == crc32c(checked)).then_some(Self {
            version,
            segment,
            first_position,
            writer,
        })
    }
}
