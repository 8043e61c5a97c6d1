//! Decides where the pages of a column end. Pure.

use std::ops::Range;

/// The rows of one series in a row group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeriesSize {
    pub(crate) rows: usize,
    /// How many of the rows have a value in the column.
    pub(crate) values: usize,
}

/// About how large a page is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageSize {
    pub(crate) rows: usize,
    pub(crate) values: usize,
}

impl PageSize {
    /// Returns how many times as large `series` is.
    fn share(self, series: SeriesSize) -> usize {
        (series.rows.div_ceil(self.rows)).max(series.values.div_ceil(self.values))
    }

    /// Whether `series` fits into two pages.
    const fn has_room_twice(self, series: SeriesSize) -> bool {
        series.rows <= 2 * self.rows && series.values <= 2 * self.values
    }
}

/// Returns the rows of each page. Together they are all rows of `series`.
///
/// A page has whole series, as many as fit into `size`. A series of up to twice that is a page
/// alone. A larger one is cut into equal parts, so a reader of a part of it does not read all.
pub(crate) fn pages(size: PageSize, series: impl Iterator<Item = SeriesSize>) -> Vec<Range<usize>> {
    let mut pages = Vec::new();
    let mut page = SeriesSize { rows: 0, values: 0 };
    let mut start = 0;

    for one in series {
        let both = SeriesSize {
            rows: page.rows + one.rows,
            values: page.values + one.values,
        };

        if both.rows <= size.rows && both.values <= size.values {
            page = both;
            continue;
        }

        if page.rows > 0 {
            pages.push(start..start + page.rows);
            start += page.rows;
        }

        page = one;

        if !size.has_room_twice(one) {
            let parts = size.share(one);
            let end = |part: usize| start + one.rows * part / parts;
            pages.extend((0..parts).map(|part| end(part)..end(part + 1)));

            start += one.rows;
            page = SeriesSize { rows: 0, values: 0 };
        }
    }

    if page.rows > 0 {
        pages.push(start..start + page.rows);
    }

    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(series: &[(usize, usize)]) -> Vec<usize> {
        let size = PageSize {
            rows: 100,
            values: 10,
        };

        let sizes = series
            .iter()
            .map(|&(rows, values)| SeriesSize { rows, values });
        let pages = pages(size, sizes);
        let mut at = 0;

        for page in &pages {
            assert_eq!(page.start, at);
            at = page.end;
        }

        assert_eq!(at, series.iter().map(|(rows, _)| rows).sum::<usize>());
        pages.into_iter().map(|page| page.end).collect()
    }

    #[test]
    fn pages_end_with_series() {
        assert_eq!(ends(&[]), Vec::<usize>::new());
        assert_eq!(ends(&[(4, 4), (4, 4), (4, 4)]), [8, 12]);
        assert_eq!(ends(&[(5, 5), (5, 5), (5, 5)]), [10, 15]);
        assert_eq!(ends(&[(90, 0), (10, 0), (10, 0)]), [100, 110], "by rows");
    }

    #[test]
    fn only_a_series_of_more_than_two_pages_is_cut() {
        assert_eq!(ends(&[(3, 3), (20, 20), (3, 3)]), [3, 23, 26]);
        assert_eq!(ends(&[(3, 3), (21, 21), (3, 3)]), [3, 10, 17, 24, 27]);
        assert_eq!(ends(&[(400, 1)]), [100, 200, 300, 400]);
    }
}
