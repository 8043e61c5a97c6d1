//! The protobuf wire format: a sequence of fields, borrowed from the message.

#![deny(clippy::indexing_slicing)]

use crate::Error;

/// One field's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// Reads the fields of one message in order.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    /// The name of the message, for errors only.
    message: &'static str,
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Fields<'a> {
    pub const fn new(message: &'static str, bytes: &'a [u8]) -> Self {
        Self {
            message,
            bytes,
            offset: 0,
        }
    }

    /// The number of bytes that were read. Between two fields, it is the start of the next field.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Reads the number and the value of the next field; `None` at the end. Groups (the deprecated
    /// wire types 3 and 4) are refused.
    #[inline]
    pub fn next_field(&mut self) -> Result<Option<(u32, Value<'a>)>, Error> {
        if self.offset == self.bytes.len() {
            return Ok(None);
        }

        let tag = self.varint()?;
        let number =
            u32::try_from(tag >> 3).map_err(|_| self.refused("a field number is out of range"))?;

        if number == 0 {
            return Err(self.refused("a field has the number 0"));
        }

        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => Value::Bytes(self.length_delimited()?),
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(self.refused("a field has an unknown wire type")),
        };

        Ok(Some((number, value)))
    }

    /// Passes over the next fields whose tag is this one byte and whose lengths take one byte, and
    /// returns how many. Their tag must be one of length-delimited fields. It stops before the first
    /// field that is another one, longer, or cut off.
    #[inline]
    pub fn skip_short(&mut self, tag: u8) -> u32 {
        let mut rest = self.bytes.get(self.offset..).unwrap_or_default();
        let mut passed = 0;

        while let [found, length, behind @ ..] = rest
            && *found == tag
            && *length < 0x80
            && let Some(next) = behind.get(usize::from(*length)..)
        {
            rest = next;
            passed += 1;
        }

        self.offset = self.bytes.len() - rest.len();
        passed
    }

    /// Reads the next varint of a packed field; `None` at the end. Do not mix it with
    /// [`Fields::next_field`].
    #[inline]
    pub fn next_packed(&mut self) -> Result<Option<u64>, Error> {
        if self.offset == self.bytes.len() {
            return Ok(None);
        }

        self.varint().map(Some)
    }

    /// Reads the next 64-bit number of a packed field; `None` at the end. Do not mix it with
    /// [`Fields::next_field`].
    #[inline]
    pub fn next_packed_fixed64(&mut self) -> Result<Option<u64>, Error> {
        if self.offset == self.bytes.len() {
            return Ok(None);
        }

        Ok(Some(u64::from_le_bytes(self.array()?)))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Error> {
        let mut value = 0u64;

        for shift in (0..70).step_by(7) {
            let Some(&byte) = self.bytes.get(self.offset) else {
                return Err(self.refused("a varint is cut off"));
            };

            self.offset += 1;

            if shift == 63 && byte > 1 {
                return Err(self.refused("a varint is longer than 64 bits"));
            }

            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }

        Err(self.refused("a varint is longer than 64 bits"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let found = self
            .bytes
            .get(self.offset..)
            .and_then(|rest| rest.first_chunk::<N>());

        let array = *found.ok_or_else(|| self.refused("a fixed field is cut off"))?;
        self.offset += N;
        Ok(array)
    }

    #[inline]
    fn length_delimited(&mut self) -> Result<&'a [u8], Error> {
        let length = self.varint()?;
        let end = usize::try_from(length)
            .ok()
            .and_then(|length| self.offset.checked_add(length));
        let found = end.and_then(|end| self.bytes.get(self.offset..end));
        let bytes = found.ok_or_else(|| self.refused("a length passes the end of its message"))?;

        self.offset += bytes.len();
        Ok(bytes)
    }

    /// The error for a fault at the present offset.
    pub const fn refused(&self, reason: &'static str) -> Error {
        Error::Protobuf {
            message: self.message,
            reason,
            offset: self.offset,
        }
    }
}

/// The value of a 32-bit field that was sent as a varint. Protobuf drops the higher bits.
#[expect(clippy::cast_possible_truncation, reason = "the format truncates")]
pub const fn truncated(varint: u64) -> u32 {
    varint as u32
}

/// The signed number of a zigzag varint (`sint32`, `sint64`).
pub const fn signed(zigzag: u64) -> i64 {
    (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed()
}

/// Like [`signed`], for a field of 32 bits.
pub const fn signed32(zigzag: u64) -> i32 {
    let zigzag = truncated(zigzag);
    (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed()
}

/// Appends a varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }

    out.push((value & 0x7f) as u8);
}

/// Appends a length-delimited field.
pub fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a varint field.
pub fn put_varint_field(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value);
}

/// Appends a 64-bit field.
pub fn put_fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}
