//! Where the pages of a Parquet file are, and which rows they have.

/// What a file of Parquet begins with, before its first page.
const MAGIC_BYTES: u64 = 4;

/// The pages of one file. A chunk, the pages of one column in one row group, begins where the one
/// before ends: column by column, row group by row group. Behind the last is the tail: the offset
/// indexes and the footer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pages {
    /// How many leaf columns the file has.
    pub(crate) columns: usize,
    /// The number of rows of each row group.
    pub(crate) group_rows: Vec<u32>,
    /// In the order of the file.
    pub(crate) chunks: Vec<Chunk>,
    /// In the order of the file.
    pub(crate) pages: Vec<Page>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The length of the dictionary before the first page, or 0 without one.
    pub(crate) dictionary_bytes: u32,
    /// False if the writer knows that all rows are null.
    pub(crate) has_values: bool,
    /// The end (exclusive) of its pages in [`Pages::pages`].
    pub(crate) pages_end: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// The length of the page with its header.
    pub(crate) bytes: u32,
    pub(crate) rows: u32,
}

impl Pages {
    /// Returns the chunk `index` with its pages. `None` if there is no such chunk.
    pub(crate) fn chunk(&self, index: usize) -> Option<(&Chunk, &[Page])> {
        let chunk = self.chunks.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => self.chunks.get(before)?.pages_end,
            None => 0,
        };

        let pages = self.pages.get(start as usize..chunk.pages_end as usize)?;
        Some((chunk, pages))
    }

    /// Returns the chunks in the order of the file, each with the offset at which it begins.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = (u64, &Chunk, &[Page])> {
        let mut end = MAGIC_BYTES;

        (0..self.chunks.len()).map_while(move |index| {
            let (chunk, pages) = self.chunk(index)?;
            let bytes: u64 = pages.iter().map(|page| u64::from(page.bytes)).sum();
            let start = end;

            end = start + u64::from(chunk.dictionary_bytes) + bytes;
            Some((start, chunk, pages))
        })
    }

    /// Returns the ascending offsets at which pages and dictionaries begin, followed by the offset
    /// of the tail.
    pub(crate) fn boundaries(&self) -> Vec<u64> {
        let mut starts = Vec::with_capacity(self.chunks.len() + self.pages.len() + 1);
        let mut at = MAGIC_BYTES;

        for (_, chunk, pages) in self.chunks() {
            if chunk.dictionary_bytes > 0 {
                starts.push(at);
                at += u64::from(chunk.dictionary_bytes);
            }

            for page in pages {
                starts.push(at);
                at += u64::from(page.bytes);
            }
        }

        starts.push(at);
        starts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_are_the_starts_of_pages_and_dictionaries() {
        let chunk = |dictionary_bytes, pages_end| Chunk {
            dictionary_bytes,
            has_values: true,
            pages_end,
        };

        let page = |bytes| Page { bytes, rows: 1 };
        let pages = Pages {
            columns: 2,
            group_rows: vec![2],
            chunks: vec![chunk(10, 2), chunk(0, 3)],
            pages: vec![page(5), page(6), page(7)],
        };

        assert_eq!(pages.boundaries(), [4, 14, 19, 25, 32]);
        assert_eq!(
            pages.chunks().map(|(start, ..)| start).collect::<Vec<_>>(),
            [4, 25]
        );
    }
}
