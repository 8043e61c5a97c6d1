//! Extents: the pieces of a file that are read, verified and cached as a whole.

use std::io::{self, Read};
use std::ops::Range;

/// An extent grows by whole pages while it has at most this many bytes. A larger page is an extent
/// alone. So a reader of one page reads fewer than this many bytes too much, and the checksums add
/// about a thousandth to the size.
pub(crate) const EXTENT_BYTES: u64 = 4096;

/// The extents of one file. They cover it without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extents {
    /// `ends[i]` is the offset at which extent `i` ends. It begins where extent `i - 1` ends.
    ends: Vec<u64>,
    checksums: Vec<u32>,
}

impl Extents {
    /// Cuts a file of `size` bytes at `boundaries`: the ascending offsets at which pages begin.
    pub(crate) fn cut(file: &mut impl Read, size: u64, boundaries: &[u64]) -> io::Result<Self> {
        let mut extents = Self {
            ends: Vec::new(),
            checksums: Vec::new(),
        };

        let mut start = 0;
        let mut end = 0;

        for &boundary in boundaries.iter().filter(|b| **b < size).chain([&size]) {
            if boundary - start > EXTENT_BYTES && end > start {
                extents.push(file, start, end)?;
                start = end;
            }

            end = boundary;
        }

        if end > start {
            extents.push(file, start, end)?;
        }

        Ok(extents)
    }

    fn push(&mut self, file: &mut impl Read, start: u64, end: u64) -> io::Result<()> {
        let mut bytes = vec![0; usize::try_from(end - start).map_err(io::Error::other)?];
        file.read_exact(&mut bytes)?;
        self.ends.push(end);
        self.checksums.push(crc32c::crc32c(&bytes));

        Ok(())
    }

    /// Makes extents of their lengths and checksums. Returns `None` if they do not cover exactly
    /// `size` bytes.
    pub(crate) fn from_parts(
        lengths: impl Iterator<Item = u32>,
        checksums: Vec<u32>,
        size: u64,
    ) -> Option<Self> {
        let mut end = 0u64;
        let ends: Vec<u64> = lengths
            .map(|length| {
                end += u64::from(length);
                (length > 0).then_some(end)
            })
            .collect::<Option<_>>()?;

        (ends.len() == checksums.len() && end == size).then_some(Self { ends, checksums })
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns the byte range of extent `index`, which must exist.
    pub(crate) fn range(&self, index: usize) -> Range<u64> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        start..self.ends[index]
    }

    pub(crate) fn checksum(&self, index: usize) -> u32 {
        self.checksums[index]
    }

    /// Returns the indexes of the extents that cover `bytes`.
    pub(crate) fn covering(&self, bytes: &Range<u64>) -> Range<usize> {
        if bytes.is_empty() {
            return 0..0;
        }

        let first = self.ends.partition_point(|end| *end <= bytes.start);
        let last = self.ends.partition_point(|end| *end < bytes.end);
        first..(last + 1).min(self.ends.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(size: u64, boundaries: &[u64]) -> Vec<u64> {
        Extents::cut(&mut io::repeat(0), size, boundaries)
            .unwrap()
            .ends
    }

    #[test]
    fn small_pages_share_an_extent_and_a_large_one_stands_alone() {
        assert_eq!(cut(100, &[4, 10, 50]), [100]);
        assert_eq!(
            cut(20_000, &[4, 3000, 5000, 18_000]),
            [3000, 5000, 18_000, 20_000]
        );

        assert_eq!(cut(0, &[]), Vec::<u64>::new());
    }

    #[test]
    fn the_extents_of_a_range_cover_it() {
        let extents = Extents::cut(&mut io::repeat(0), 20_000, &[4, 3000, 5000, 18_000]).unwrap();

        for (bytes, expected) in [
            (0..1, 0..1),
            (2999..3001, 0..2),
            (3000..5000, 1..2),
            (19_999..20_000, 3..4),
            (7..7, 0..0),
        ] {
            assert_eq!(extents.covering(&bytes), expected, "{bytes:?}");
        }
    }
}
