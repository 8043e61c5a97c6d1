//! Extents: the pieces of a file that are read, verified and cached as a whole.

use std::io::{self, Read};
use std::ops::Range;

/// An extent grows by whole pages while it has at most this many bytes. A larger page is an extent
/// alone. So a reader of one page reads fewer than this many bytes too much, and the checksums add
/// a four-thousandth to the size.
///
/// `meta` does not have the extents: they follow from its pages and this number. Another number is
/// another version of the format.
pub(crate) const EXTENT_BYTES: u64 = 16 << 10;

/// The extents of one file. They cover it without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extents {
    /// `ends[i]` is the offset at which extent `i` ends. It begins where extent `i - 1` ends.
    ends: Vec<u64>,
    checksums: Vec<u32>,
}

impl Extents {
    /// Cuts a file of `size` bytes at `boundaries`: the ascending offsets at which pages begin,
    /// followed by the offset of the tail. The tail is an extent alone. Reads the file for the
    /// checksums.
    pub(crate) fn cut(file: &mut impl Read, size: u64, boundaries: &[u64]) -> io::Result<Self> {
        let ends = ends(size, boundaries);
        let mut checksums = Vec::with_capacity(ends.len());
        let mut start = 0;

        for &end in &ends {
            let mut bytes = vec![0; usize::try_from(end - start).map_err(io::Error::other)?];
            file.read_exact(&mut bytes)?;
            checksums.push(crc32c::crc32c(&bytes));
            start = end;
        }

        Ok(Self { ends, checksums })
    }

    /// Makes the extents of a file of `size` bytes with `boundaries`, as [`Extents::cut`] does.
    /// `checksums` gives the checksums of so many extents, or nothing.
    pub(crate) fn with_checksums(
        size: u64,
        boundaries: &[u64],
        checksums: impl FnOnce(usize) -> Option<Vec<u32>>,
    ) -> Option<Self> {
        let ends = ends(size, boundaries);
        let checksums = checksums(ends.len())?;
        (checksums.len() == ends.len()).then_some(Self { ends, checksums })
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

/// Returns the ends of the extents.
fn ends(size: u64, boundaries: &[u64]) -> Vec<u64> {
    let mut ends = Vec::new();
    let mut start = 0;
    let mut end = 0;

    for &boundary in boundaries.iter().filter(|boundary| **boundary <= size) {
        if boundary - start > EXTENT_BYTES && end > start {
            ends.push(end);
            start = end;
        }

        end = boundary;
    }

    if end > start {
        ends.push(end);
    }
    if size > end {
        ends.push(size);
    }

    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pages_share_an_extent_and_a_large_one_and_the_tail_stand_alone() {
        assert_eq!(ends(100, &[4, 10, 50]), [50, 100]);
        assert_eq!(
            ends(80_000, &[4, 12_000, 20_000, 70_000, 71_000]),
            [12_000, 20_000, 70_000, 71_000, 80_000]
        );
        assert_eq!(ends(80_000, &[4, 12_000, 16_000]), [16_000, 80_000]);

        assert_eq!(ends(16, &[]), [16]);
        assert_eq!(ends(0, &[]), Vec::<u64>::new());
    }

    #[test]
    fn the_extents_of_a_range_cover_it() {
        let boundaries = [4, 12_000, 20_000, 70_000, 71_000];
        let extents = Extents::cut(&mut io::repeat(0), 80_000, &boundaries).unwrap();

        for (bytes, expected) in [
            (0..1, 0..1),
            (11_999..12_001, 0..2),
            (12_000..20_000, 1..2),
            (79_999..80_000, 4..5),
            (7..7, 0..0),
        ] {
            assert_eq!(extents.covering(&bytes), expected, "{bytes:?}");
        }
    }
}
