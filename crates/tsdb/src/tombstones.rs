//! `tombstones`: spans of series that were deleted, and are still in the chunks.
//!
//! ```text
//! file    := magic:u32be version:u8 (1) stone* crc32c:u32be of the stones
//! stone   := series:uvarint first_ms:varint last_ms:varint       both times inclusive
//! ```

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use duramen_runtime::Disk;

use crate::bytes::Bytes;
use crate::error::Error;

pub(crate) const MAGIC: u32 = 0x0130_ba30;
pub(crate) const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// The deleted spans of each series, both ends inclusive.
#[derive(Debug, Default)]
pub(crate) struct Tombstones(HashMap<u64, Vec<(i64, i64)>>);

impl Tombstones {
    /// Reads the file. A block without one has no tombstones.
    pub(crate) fn read(disk: &Arc<dyn Disk>, path: PathBuf) -> Result<Self, Error> {
        match disk.read(&path) {
            Ok(bytes) => parse(&bytes).map_err(|what| Error::Malformed {
                path,
                offset: 0,
                what,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(Error::Disk { path, source }),
        }
    }

    /// Whether the sample of a series at a time was deleted.
    pub(crate) fn covers(&self, series: u64, ts_ms: i64) -> bool {
        let spans = self.0.get(&series);
        spans.is_some_and(|spans| {
            spans
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&ts_ms))
        })
    }
}

fn parse(bytes: &[u8]) -> Result<Tombstones, &'static str> {
    let mut head = Bytes(bytes);

    if (head.u32(), head.byte()) != (Some(MAGIC), Some(VERSION)) {
        return Err("the file does not begin as tombstones of version 1 do");
    }

    let stones = head.len().checked_sub(CHECKSUM_BYTES);
    let stones = stones.ok_or("the tombstones end before their checksum")?;
    let mut left = Bytes(head.take(stones).unwrap_or_default());

    if head.u32() != Some(crc32c::crc32c(left.0)) {
        return Err("the checksum of the tombstones differs");
    }

    let mut all = Tombstones::default();

    while !left.is_empty() {
        let mut stone = || Some((left.uvarint()?, left.varint()?, left.varint()?));
        let (series, first, last) = stone().ok_or("a tombstone is cut off")?;

        all.0.entry(series).or_default().push((first, last));
    }

    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file that a test expects, with one stone: series 5, from -1 to 63.
    fn file() -> Vec<u8> {
        let stone = [5, 1, 126];
        let mut bytes = MAGIC.to_be_bytes().to_vec();
        bytes.push(VERSION);
        bytes.extend(stone);
        bytes.extend(crc32c::crc32c(&stone).to_be_bytes());
        bytes
    }

    #[test]
    fn both_ends_of_a_tombstone_are_deleted() {
        let stones = parse(&file()).expect("tombstones");

        for (series, ts_ms, is_covered) in [
            (5, -2, false),
            (5, -1, true),
            (5, 63, true),
            (5, 64, false),
            (4, 0, false),
        ] {
            assert_eq!(stones.covers(series, ts_ms), is_covered, "{series} {ts_ms}");
        }
    }

    #[test]
    fn damage_is_an_error() {
        let good = file();

        for at in 0..good.len() {
            let mut bad = good.clone();
            if let Some(byte) = bad.get_mut(at) {
                *byte ^= 1;
            }
            assert!(parse(&bad).is_err(), "{at}");
            assert!(parse(good.get(..at).unwrap_or_default()).is_err(), "{at}");
        }
    }
}
