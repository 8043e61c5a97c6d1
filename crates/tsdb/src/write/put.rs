//! Appends numbers to bytes, as the formats of a TSDB have them.

/// An unsigned varint: 7 bits a byte, the lowest first.
pub(crate) fn put_uvarint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }

    out.push((value & 0x7f) as u8);
}

/// A signed varint, zigzag-encoded.
pub(crate) fn put_varint(value: i64, out: &mut Vec<u8>) {
    put_uvarint(((value << 1) ^ (value >> 63)).cast_unsigned(), out);
}

/// A text behind its length.
pub(crate) fn put_text(text: &str, out: &mut Vec<u8>) {
    put_uvarint(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

pub(crate) fn put_checksum(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&crc32c::crc32c(bytes).to_be_bytes());
}
