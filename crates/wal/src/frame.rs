//! Frames: how a record is found, bounded and verified among the bytes of a segment.
//!
//! ```text
//! frame := magic[4] length:u32 sequence:u64 kind:u8 head_crc:u32 body_crc:u32 payload[length]      (little-endian)
//! ```
//!
//! `head_crc` is CRC32C over writer, segment id, length, sequence and kind; `body_crc` continues it
//! over the payload. So a length is used only after its checksum was verified, and a frame is valid
//! only in its own file. A sender cannot hide a frame inside a record for a resync to find, since
//! it does not know the writer.

#![deny(clippy::indexing_slicing)]

use std::ops::Range;

use crc32c::crc32c_append;
use duramen_model::WriterId;

use crate::position::SegmentId;
use crate::varint::Input;

/// Neither ASCII nor UTF-8, and unlikely as a part of a number.
const MAGIC: [u8; 4] = [0xD7, 0x8E, 0xF3, 0xA9];
/// Bytes of a frame before its payload.
pub(crate) const HEAD_LEN: usize = 25;
/// The longest payload. It is far above the size of a request; it limits what readers accept.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 64 << 20;

/// The kinds of payloads.
pub(crate) mod kind {
    /// A write record.
    pub(crate) const WRITE: u8 = 1;
    /// A range of positions that no record has. The payload is their count as a u64; the sequence
    /// is the last of them.
    pub(crate) const VOID: u8 = 2;
}

/// The value from which the checksums of one segment start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Salt(u32);

impl Salt {
    pub(crate) fn new(writer: WriterId, segment: SegmentId) -> Self {
        Self(crc32c_append(
            crc32c_append(0, &writer.0.to_bytes()),
            &segment.0.to_le_bytes(),
        ))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u8,
    pub(crate) sequence: u64,
    pub(crate) payload: &'a [u8],
}

impl Frame<'_> {
    pub(crate) const fn len(&self) -> usize {
        HEAD_LEN + self.payload.len()
    }
}

pub(crate) fn put_frame(out: &mut Vec<u8>, salt: Salt, kind: u8, sequence: u64, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a payload is bounded where it is made");
    let head = head_crc(salt, length, sequence, kind);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(&head.to_le_bytes());
    out.extend_from_slice(&crc32c_append(head, payload).to_le_bytes());
    out.extend_from_slice(payload);
}

fn head_crc(salt: Salt, length: u32, sequence: u64, kind: u8) -> u32 {
    let crc = crc32c_append(salt.0, &length.to_le_bytes());
    crc32c_append(crc32c_append(crc, &sequence.to_le_bytes()), &[kind])
}

/// Returns the frame at the start of `bytes`, or `None` if there is no valid one.
pub(crate) fn take_frame(bytes: &[u8], salt: Salt) -> Option<Frame<'_>> {
    let mut input = Input::new(bytes);
    if input.array::<4>()? != MAGIC {
        return None;
    }

    let length = u32::from_le_bytes(input.array()?);
    let sequence = u64::from_le_bytes(input.array()?);
    let [kind] = input.array()?;
    let head = u32::from_le_bytes(input.array()?);
    let body = u32::from_le_bytes(input.array()?);

    if head != head_crc(salt, length, sequence, kind) {
        return None;
    }

    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length <= PAYLOAD_BYTES_MAX)?;
    let payload = input.take(length)?;

    (crc32c_append(head, payload) == body).then_some(Frame {
        kind,
        sequence,
        payload,
    })
}

/// A frame, or a range of bad bytes, of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    Frame {
        offset: usize,
        frame: Frame<'a>,
    },
    /// Bytes that are no valid frame, up to the next valid frame or the end.
    Bad {
        offsets: Range<usize>,
    },
}

/// Iterates over a segment from `offset` on. Every byte is part of exactly one item, in order.
#[derive(Debug)]
pub(crate) struct Frames<'a> {
    bytes: &'a [u8],
    salt: Salt,
    offset: usize,
}

impl<'a> Frames<'a> {
    pub(crate) fn new(bytes: &'a [u8], offset: usize, salt: Salt) -> Self {
        Self {
            bytes,
            salt,
            offset: offset.min(bytes.len()),
        }
    }

    /// Returns the offset of the first valid frame at or after `from`, or the end.
    fn resync(&self, from: usize) -> usize {
        let mut offset = from;

        while let Some(rest) = self.bytes.get(offset..) {
            let Some(skip) = rest.windows(MAGIC.len()).position(|window| window == MAGIC) else {
                break;
            };
            offset += skip;

            if self
                .bytes
                .get(offset..)
                .and_then(|rest| take_frame(rest, self.salt))
                .is_some()
            {
                return offset;
            }
            offset += 1;
        }

        self.bytes.len()
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        let offset = self.offset;
        let rest = self.bytes.get(offset..).filter(|rest| !rest.is_empty())?;

        if let Some(frame) = take_frame(rest, self.salt) {
            self.offset += frame.len();
            return Some(Found::Frame { offset, frame });
        }

        self.offset = self.resync(offset + 1);
        Some(Found::Bad {
            offsets: offset..self.offset,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn salt(segment: u64) -> Salt {
        Salt::new(WriterId(7.into()), SegmentId(segment))
    }

    #[test]
    fn a_frame_is_valid_in_its_own_segment_only() {
        let mut bytes = vec![];
        put_frame(&mut bytes, salt(1), kind::WRITE, 5, b"payload");

        assert_eq!(
            take_frame(&bytes, salt(1)),
            Some(Frame {
                kind: kind::WRITE,
                sequence: 5,
                payload: b"payload"
            })
        );

        assert_eq!(take_frame(&bytes, salt(2)), None);
        assert_eq!(
            take_frame(&bytes, Salt::new(WriterId(8.into()), SegmentId(1))),
            None
        );
    }

    #[test]
    fn behind_bad_bytes_the_next_frame_is_found() {
        let mut bytes = b"junk".to_vec();
        bytes.extend_from_slice(&MAGIC);
        put_frame(&mut bytes, salt(1), kind::WRITE, 1, b"a");
        bytes.extend_from_slice(&MAGIC);

        let found: Vec<_> = Frames::new(&bytes, 0, salt(1)).collect();
        let frame = Frame {
            kind: kind::WRITE,
            sequence: 1,
            payload: b"a",
        };

        let expected = [
            Found::Bad { offsets: 0..8 },
            Found::Frame { offset: 8, frame },
            Found::Bad { offsets: 34..38 },
        ];

        assert_eq!(found, expected);
    }

    #[test]
    fn a_length_beyond_the_end_or_the_limit_is_refused() {
        let mut bytes = vec![];
        put_frame(&mut bytes, salt(1), kind::WRITE, 1, &[0; 100]);
        bytes.pop();

        assert_eq!(take_frame(&bytes, salt(1)), None);
    }
}
