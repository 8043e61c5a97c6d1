//! The bytes of an entry: a header, the key, and the payload.
//!
//! | offset | bytes | content |
//! |---:|---:|---|
//! | 0 | 4 | `DCE1` |
//! | 4 | 4 | CRC32C of everything from offset 8 to the end of the key |
//! | 8 | 4 | length of the payload |
//! | 12 | 4 | CRC32C of the payload |
//! | 16 | 4 | length of the key |
//! | 20 | | the key, then the payload |
//!
//! Numbers are little endian. An entry that was cut, changed or exchanged with another one differs
//! in one of these from what the reader expects.

use bytes::Bytes;

use crate::key::Key;

const MAGIC: &[u8; 4] = b"DCE1";
const HEADER_BYTES: usize = 20;

/// What a reader knows about a payload before it reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    pub crc: u32,
    pub length: u64,
}

impl Expected {
    /// What a reader of `payload` has to expect.
    pub fn of(payload: &[u8]) -> Self {
        Self {
            crc: crc32c::crc32c(payload),
            length: payload.len() as u64,
        }
    }
}

/// Makes the entry of `payload`, whose checksum is `crc`. Returns `None` if the payload is larger
/// than an entry can be.
pub(crate) fn seal(key: &Key, crc: u32, payload: &[u8]) -> Option<Bytes> {
    let payload_bytes = u32::try_from(payload.len()).ok()?;
    let key_bytes = u32::try_from(key.bytes().len()).ok()?;

    let mut entry = Vec::with_capacity(HEADER_BYTES + key.bytes().len() + payload.len());
    entry.extend_from_slice(MAGIC);
    entry.extend_from_slice(&[0; 4]);
    entry.extend_from_slice(&payload_bytes.to_le_bytes());
    entry.extend_from_slice(&crc.to_le_bytes());
    entry.extend_from_slice(&key_bytes.to_le_bytes());
    entry.extend_from_slice(key.bytes());

    let head_crc = crc32c::crc32c(&entry[8..]);
    entry[4..8].copy_from_slice(&head_crc.to_le_bytes());
    entry.extend_from_slice(payload);

    Some(entry.into())
}

/// Returns the payload if `entry` is whole, belongs to `key`, and is what the reader expects.
pub(crate) fn open(entry: &Bytes, key: &Key, expected: Expected) -> Option<Bytes> {
    let number = |at: usize| {
        let bytes = entry.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };

    let head_bytes = HEADER_BYTES + key.bytes().len();
    let head = entry.get(8..head_bytes)?;
    let payload = entry.get(head_bytes..)?;

    let is_ours = entry.starts_with(MAGIC)
        && number(4)? == crc32c::crc32c(head)
        && u64::from(number(8)?) == expected.length
        && number(12)? == expected.crc
        && number(16)? as usize == key.bytes().len()
        && &head[HEADER_BYTES - 8..] == key.bytes();

    let is_whole =
        payload.len() as u64 == expected.length && crc32c::crc32c(payload) == expected.crc;

    (is_ours && is_whole).then(|| entry.slice(head_bytes..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_an_entry_is_found() {
        let key = Key::new("t/a/blocks/b", 1, 2);
        let payload = Bytes::from_static(b"what was read");
        let expected = Expected::of(&payload);
        let entry = seal(&key, expected.crc, &payload).unwrap();

        assert_eq!(open(&entry, &key, expected), Some(payload));

        for at in 0..entry.len() {
            for bit in 0..8 {
                let mut changed = entry.to_vec();
                changed[at] ^= 1 << bit;
                assert_eq!(open(&changed.into(), &key, expected), None, "{at}, {bit}");
            }

            assert_eq!(open(&entry.slice(..at), &key, expected), None, "cut {at}");
        }

        let mut longer = entry.to_vec();
        longer.push(0);
        assert_eq!(open(&longer.into(), &key, expected), None);
    }

    #[test]
    fn an_entry_of_another_key_or_content_is_refused() {
        let payload = Bytes::from_static(b"what was read");
        let expected = Expected::of(&payload);
        let key = Key::new("t/a/blocks/b", 1, 2);
        let entry = seal(&key, expected.crc, &payload).unwrap();

        for other in [
            Key::new("t/b/blocks/b", 1, 2),
            Key::new("t/a/blocks/b", 2, 2),
            Key::new("t/a/blocks/b", 1, 3),
            Key::new("t/a/blocks/bb", 1, 2),
            Key::new("", 1, 2),
        ] {
            assert_eq!(open(&entry, &other, expected), None, "{other:?}");
        }

        let other = Expected::of(b"what was read?");
        assert_eq!(open(&entry, &key, other), None);
    }
}
