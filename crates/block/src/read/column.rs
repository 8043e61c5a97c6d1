//! A column of a row group, read forwards: which rows have a value, and the values.

use parquet::errors::Result;

use crate::read::pages::{Page, Pages};
use crate::read::runs::Runs;
use crate::read::varint::malformed;

/// The decoder of the values of one page.
pub(crate) trait PageValues<'a>: Sized {
    /// Begins to decode the `values` values of `page`. Nulls are not among them.
    fn open(page: &Page<'a>, values: usize) -> Result<Self>;

    /// Leaves out the next `values` values.
    fn skip(&mut self, values: usize) -> Result<()>;
}

/// A reader of the loaded pages of a column chunk.
#[derive(Debug)]
pub(crate) struct Column<'a, V> {
    pages: &'a Pages,
    /// The page behind the open one.
    next: usize,
    open: Option<OpenPage<'a, V>>,
}

#[derive(Debug)]
struct OpenPage<'a, V> {
    /// The next row.
    row: usize,
    end: usize,
    /// Whether each row has a value; absent if all have.
    levels: Option<Runs<'a>>,
    values: V,
}

impl<'a, V: PageValues<'a>> Column<'a, V> {
    pub(crate) const fn new(pages: &'a Pages) -> Self {
        Self {
            pages,
            next: 0,
            open: None,
        }
    }

    /// Returns whether `row` has a value, and for how many rows, at least one, that stays so. `row`
    /// lies behind the rows that were taken, and not before the row that was asked for last.
    #[inline]
    pub(crate) fn run(&mut self, row: usize) -> Result<(bool, usize)> {
        match &mut self.open {
            Some(page) if page.row == row && row < page.end => page.run(),
            _ => self.seek(row)?.run(),
        }
    }

    /// Takes the next `rows` rows, which must all be of the run that [`Column::run`] returned.
    /// Returns the decoder, of which the caller takes a value for each row if they have values.
    #[inline]
    pub(crate) fn take(&mut self, rows: usize) -> Result<&mut V> {
        let absent = || malformed("a page is read before its rows are known");
        let page = self.open.as_mut().ok_or_else(absent)?;
        page.row += rows;
        if let Some(levels) = &mut page.levels {
            levels.pass(rows);
        }

        Ok(&mut page.values)
    }

    /// Opens the page of `row` and goes there.
    #[cold]
    fn seek(&mut self, row: usize) -> Result<&mut OpenPage<'a, V>> {
        let inside = |page: &OpenPage<'_, V>| (page.row..page.end).contains(&row);

        if !self.open.as_ref().is_some_and(inside) {
            let absent = || malformed("a page was not read");

            let page = loop {
                let page = self.pages.get(self.next).ok_or_else(absent)?;
                self.next += 1;
                if row < page.rows.end {
                    break page;
                }
            };

            self.open = Some(OpenPage::new(&page)?);
        }

        let page = self
            .open
            .as_mut()
            .ok_or_else(|| malformed("a page was not read"))?;
        let skipped = row.checked_sub(page.row);
        page.skip(skipped.ok_or_else(|| malformed("a page was not read"))?)?;
        Ok(page)
    }
}

impl<'a, V: PageValues<'a>> OpenPage<'a, V> {
    fn new(page: &Page<'a>) -> Result<Self> {
        let rows = page.rows.len();
        let levels = page
            .levels
            .map(|levels| Runs::new(levels, 1, rows))
            .transpose()?;

        let values = match &levels {
            Some(levels) => levels.clone().sum(rows)?,
            None => rows,
        };

        Ok(Self {
            row: page.rows.start,
            end: page.rows.end,
            levels,
            values: V::open(page, values)?,
        })
    }

    #[inline]
    fn run(&mut self) -> Result<(bool, usize)> {
        match &mut self.levels {
            Some(levels) => levels.peek().map(|(level, rows)| (level == 1, rows)),
            None => Ok((true, self.end - self.row)),
        }
    }

    fn skip(&mut self, rows: usize) -> Result<()> {
        let values = match &mut self.levels {
            Some(levels) => levels.sum(rows)?,
            None => rows,
        };

        self.row += rows;
        self.values.skip(values)
    }
}
