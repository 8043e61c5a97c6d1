//! A list that grows in pages: it copies nothing when it grows, and at most one page is not full.

use std::ops::{Index, IndexMut};

/// Elements of a page.
const PAGE: usize = 1024;

/// A list in pages. A short list is one page that grows as a vector does.
#[derive(Debug)]
pub(crate) struct Column<T> {
    pages: Vec<Vec<T>>,
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self { pages: Vec::new() }
    }
}

impl<T> Column<T> {
    pub(crate) fn len(&self) -> usize {
        self.pages
            .last()
            .map_or(0, |last| (self.pages.len() - 1) * PAGE + last.len())
    }

    pub(crate) fn push(&mut self, element: T) {
        match self.pages.last_mut() {
            Some(last) if last.len() < PAGE => last.push(element),
            Some(_) => {
                let mut page = Vec::with_capacity(PAGE);
                page.push(element);
                self.pages.push(page);
            }
            None => self.pages.push(vec![element]),
        }
    }

    /// Drops the elements from `len` on, and the memory of their pages.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.pages.truncate(len.div_ceil(PAGE));

        if let Some(last) = self.pages.last_mut() {
            last.truncate(len - (len - 1) / PAGE * PAGE);
        }
    }

    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        self.pages.get(at / PAGE)?.get(at % PAGE)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flatten()
    }

    /// Returns the elements from `from` on.
    pub(crate) fn iter_from(&self, from: usize) -> impl Iterator<Item = &T> {
        let pages = self.pages.get(from / PAGE..).unwrap_or_default();
        pages.iter().flatten().skip(from % PAGE)
    }
}

impl<T> Index<usize> for Column<T> {
    type Output = T;

    #[inline]
    fn index(&self, at: usize) -> &T {
        &self.pages[at / PAGE][at % PAGE]
    }
}

impl<T> IndexMut<usize> for Column<T> {
    #[inline]
    fn index_mut(&mut self, at: usize) -> &mut T {
        &mut self.pages[at / PAGE][at % PAGE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_list_whatever_its_pages() {
        let mut column = Column::default();

        for at in 0..3 * PAGE + 5 {
            assert_eq!((column.len(), column.get(at)), (at, None));
            column.push(at);
        }

        column[PAGE] = 7;
        assert_eq!(
            (column[PAGE - 1], column[PAGE], column[2 * PAGE]),
            (PAGE - 1, 7, 2 * PAGE)
        );
        assert_eq!(column.iter().count(), column.len());

        for from in [
            0,
            1,
            PAGE - 1,
            PAGE + 1,
            3 * PAGE + 4,
            3 * PAGE + 5,
            9 * PAGE,
        ] {
            let behind: Vec<usize> = column.iter_from(from).copied().collect();
            let expected: Vec<usize> = column.iter().copied().skip(from).collect();
            assert_eq!(behind, expected, "{from}");
        }
    }

    #[test]
    fn its_end_can_be_dropped() {
        for len in [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE, 3 * PAGE + 5] {
            let mut column = Column::default();
            (0..3 * PAGE + 5).for_each(|at| column.push(at));

            column.truncate(len);
            assert_eq!(column.len(), len);

            column.push(7);
            assert_eq!((column.len(), column[len]), (len + 1, 7));
        }
    }
}
