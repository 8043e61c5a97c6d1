//! The slots of the series that the records of one segment refer to.

use crate::head::Slot;

/// References of one page.
const PAGE: usize = 1024;

/// The slots of one tenant's series, by the references in a segment. References are the slots of
/// the process that wrote the log, so they are dense, and a table in pages is small and quick.
#[derive(Debug, Default)]
pub(crate) struct References {
    /// Each entry is a slot plus one, or 0.
    pages: Vec<Option<Box<[u32; PAGE]>>>,
}

impl References {
    pub(crate) fn get(&self, reference: u32) -> Option<Slot> {
        let (page, at) = place(reference);
        self.pages.get(page)?.as_ref()?[at].checked_sub(1)
    }

    pub(crate) fn insert(&mut self, reference: u32, slot: Slot) {
        let (page, at) = place(reference);
        if page >= self.pages.len() {
            self.pages.resize_with(page + 1, || None);
        }

        let page = self.pages[page].get_or_insert_with(|| Box::new([0; PAGE]));
        page[at] = slot + 1;
    }

    pub(crate) fn remove(&mut self, reference: u32) {
        let (page, at) = place(reference);
        if let Some(Some(page)) = self.pages.get_mut(page) {
            page[at] = 0;
        }
    }
}

const fn place(reference: u32) -> (usize, usize) {
    let reference = reference as usize;
    (reference / PAGE, reference % PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_the_slot_that_it_got_last() {
        let mut references = References::default();
        for (reference, slot) in [(0, 7), (1023, 0), (1024, 1), (u32::MAX, 2), (0, 8)] {
            references.insert(reference, slot);
        }

        let found = [0, 1, 1023, 1024, 5000, u32::MAX].map(|reference| references.get(reference));
        assert_eq!(found, [Some(8), None, Some(0), Some(1), None, Some(2)]);

        references.remove(1024);
        references.remove(5000);
        assert_eq!(references.get(1024), None);
    }
}
