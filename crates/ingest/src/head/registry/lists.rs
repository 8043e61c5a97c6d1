//! The label pairs of all series, one list after the other.

use std::collections::HashMap;

use super::slots::Slot;
use crate::head::column::Column;

/// The number of a label pair.
pub(super) type PairId = u32;

/// Pairs of a page, which is made at once.
const PAGE: usize = 4096;

/// The length of a list that is apart from the pages.
const APART: u8 = u8::MAX;

/// A list of pairs for each series. A list in a page has a place of its length, which later series
/// of that length get.
#[derive(Debug, Default)]
pub(super) struct PairLists {
    places: Column<u32>,
    lengths: Column<u8>,
    pages: Vec<Vec<PairId>>,
    /// Places that no series uses, by their length.
    free: Vec<Vec<u32>>,
    /// Lists that are too long for the pages.
    apart: HashMap<Slot, Box<[PairId]>>,
}

impl PairLists {
    /// Returns the number of lists.
    pub(super) fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Adds an empty list for the next number.
    pub(super) fn push(&mut self) {
        self.places.push(0);
        self.lengths.push(0);
    }

    pub(super) fn of(&self, slot: Slot) -> &[PairId] {
        let length = self.lengths[slot as usize];
        if length == APART {
            return self.apart.get(&slot).map_or(&[], |list| list);
        }

        let place = self.places[slot as usize] as usize;
        self.pages
            .get(place / PAGE)
            .map_or(&[], |page| &page[place % PAGE..][..usize::from(length)])
    }

    /// Sets the list of a series that has an empty one. Returns by how many pairs the memory grew.
    pub(super) fn set(&mut self, slot: Slot, list: &[PairId]) -> usize {
        if list.is_empty() {
            return 0;
        }

        let Some(length) = u8::try_from(list.len()).ok().filter(|l| *l != APART) else {
            self.lengths[slot as usize] = APART;
            self.apart.insert(slot, list.into());
            return list.len();
        };

        let (place, grown) = self.place(list.len());
        self.pages[place / PAGE][place % PAGE..][..list.len()].copy_from_slice(list);
        self.places[slot as usize] = as_place(place);
        self.lengths[slot as usize] = length;

        grown
    }

    /// Takes the list of a series away. Returns it, and by how many pairs the memory shrank.
    pub(super) fn take(&mut self, slot: Slot) -> (Vec<PairId>, usize) {
        let list = self.of(slot).to_vec();
        let length = std::mem::replace(&mut self.lengths[slot as usize], 0);

        if length == APART {
            self.apart.remove(&slot);
            let shrunk = list.len();
            return (list, shrunk);
        }

        let place = std::mem::replace(&mut self.places[slot as usize], 0);
        self.vacate(place, usize::from(length));
        (list, 0)
    }

    /// Returns a place for a list, and by how many pairs the memory grew.
    fn place(&mut self, length: usize) -> (usize, usize) {
        let used = self.free.get_mut(length).and_then(Vec::pop);
        if let Some(place) = used {
            return (place as usize, 0);
        }

        let room = self.pages.last().map_or(0, |page| PAGE - page.len());
        if room < length || self.pages.is_empty() {
            self.begin_page(room);
        }

        let page = self.pages.len() - 1;
        let last = &mut self.pages[page];
        let place = page * PAGE + last.len();
        last.resize(last.len() + length, 0);

        (place, length)
    }

    /// Begins a page. The room at the end of the last one goes to a shorter list.
    fn begin_page(&mut self, room: usize) {
        let end = self.pages.len() * PAGE;
        if let Some(last) = self.pages.last_mut() {
            last.resize(PAGE, 0);
            self.vacate(as_place(end - room), room);
        }

        let capacity = if self.pages.is_empty() { 0 } else { PAGE };
        self.pages.push(Vec::with_capacity(capacity));
    }

    fn vacate(&mut self, place: u32, length: usize) {
        if length == 0 {
            return;
        }

        if self.free.len() <= length {
            self.free.resize(length + 1, Vec::new());
        }

        self.free[length].push(place);
    }
}

fn as_place(place: usize) -> u32 {
    u32::try_from(place).expect("a registry has fewer than 2^32 labels of series")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_series_has_its_own_list_whatever_comes_and_goes(
            steps in prop::collection::vec((0..40u32, prop_oneof![0..20usize, 0..400usize]), 1..400)
        ) {
            let mut lists = PairLists::default();
            let mut model: Vec<Vec<PairId>> = vec![Vec::new(); 40];
            let mut held = 0;
            (0..40).for_each(|_| lists.push());

            for (number, (slot, length)) in (0..).zip(steps) {
                let (taken, shrunk) = lists.take(slot);
                prop_assert_eq!(&taken, &model[slot as usize]);

                let list: Vec<PairId> = (number..).take(length).collect();
                held += lists.set(slot, &list);
                held -= shrunk;
                model[slot as usize] = list;
            }

            for (slot, list) in (0..).zip(&model) {
                prop_assert_eq!(lists.of(slot), list);
            }

            prop_assert!(held >= model.iter().map(Vec::len).sum());
        }
    }

    #[test]
    fn a_place_is_used_again_by_a_list_of_its_length() {
        let mut lists = PairLists::default();
        lists.push();
        lists.push();

        assert_eq!(lists.set(0, &[1, 2, 3]), 3);
        lists.take(0);

        assert_eq!(lists.set(1, &[4, 5]), 2);
        assert_eq!(lists.set(0, &[6, 7, 8]), 0);
        assert_eq!((lists.of(0), lists.of(1)), (&[6, 7, 8][..], &[4, 5][..]));
    }

    #[test]
    fn the_end_of_a_page_is_for_shorter_lists() {
        let mut lists = PairLists::default();
        let long = [0; 200];
        let count = Slot::try_from(PAGE / long.len() + 1).unwrap();

        for slot in 0..count {
            lists.push();
            lists.set(slot, &long);
        }

        lists.push();
        assert_eq!(lists.set(count, &[9; PAGE % 200]), 0);
    }
}
