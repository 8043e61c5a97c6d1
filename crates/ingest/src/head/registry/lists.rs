//! The label pairs of all series, one list after the other.
//!
//! A list is the numbers of its pairs as varints. The pairs that many series have came early and
//! have small numbers, so a label takes about two bytes.

use std::collections::HashMap;

use super::slots::Slot;
use crate::head::column::Column;

/// The number of a label pair.
pub(super) type PairId = u32;

/// Bytes of a page, which is made at once.
const PAGE: usize = 16 << 10;

/// The length of a list that is apart from the pages.
const APART: u8 = u8::MAX;

/// A list of pairs for each series. A list in a page has a place of its length, which later series
/// with lists of that length get.
#[derive(Debug, Default)]
pub(super) struct PairLists {
    places: Column<u32>,
    lengths: Column<u8>,
    pages: Vec<Vec<u8>>,
    /// Places that no series uses, by their length.
    free: Vec<Vec<u32>>,
    /// Lists that are too long for the pages.
    apart: HashMap<Slot, Box<[u8]>>,
    /// The bytes of the pages that are or were places, and those of them that are used.
    placed: usize,
    used: usize,
    /// For the bytes of one list.
    scratch: Vec<u8>,
}

/// Pages of which less than one in so many bytes is used are not kept.
const ROOM_KEPT: usize = 4;

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

    /// Returns the pairs of a series.
    #[inline]
    pub(super) fn of(&self, slot: Slot) -> Pairs<'_> {
        Pairs {
            bytes: self.bytes(slot),
        }
    }

    fn bytes(&self, slot: Slot) -> &[u8] {
        let length = self.lengths[slot as usize];
        if length == APART {
            return self.apart.get(&slot).map_or(&[], |list| list);
        }

        let place = self.places[slot as usize] as usize;
        self.pages
            .get(place / PAGE)
            .map_or(&[], |page| &page[place % PAGE..][..usize::from(length)])
    }

    /// Sets the list of a series that has an empty one. Returns by how many bytes the memory grew.
    pub(super) fn set(&mut self, slot: Slot, list: &[PairId]) -> usize {
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        list.iter().for_each(|pair| put(&mut bytes, *pair));

        let grown = self.set_bytes(slot, &bytes);
        self.scratch = bytes;
        grown
    }

    fn set_bytes(&mut self, slot: Slot, list: &[u8]) -> usize {
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
        self.placed += grown;
        self.used += list.len();

        grown
    }

    /// Takes the list of a series away. Returns it, and by how many bytes the memory shrank.
    pub(super) fn take(&mut self, slot: Slot) -> (Vec<PairId>, usize) {
        let list = self.of(slot).collect();
        let length = std::mem::replace(&mut self.lengths[slot as usize], 0);

        if length == APART {
            let bytes = self.apart.remove(&slot);
            return (list, bytes.map_or(0, |bytes| bytes.len()));
        }

        let place = std::mem::replace(&mut self.places[slot as usize], 0);
        self.vacate(place, usize::from(length));
        self.used -= usize::from(length);
        (list, 0)
    }

    /// Drops the numbers from `len` on, whose lists are empty. Moves the lists that are left to new
    /// pages if the pages are mostly empty. Returns by how many bytes the memory shrank.
    pub(super) fn truncate(&mut self, len: usize) -> usize {
        self.places.truncate(len);
        self.lengths.truncate(len);

        if self.used * ROOM_KEPT >= self.placed || self.placed < PAGE {
            return 0;
        }

        let mut moved = Self {
            apart: std::mem::take(&mut self.apart),
            ..Self::default()
        };

        for slot in 0..Slot::try_from(len).unwrap_or(Slot::MAX) {
            moved.push();

            if self.lengths[slot as usize] == APART {
                moved.lengths[slot as usize] = APART;
            } else {
                moved.set_bytes(slot, self.bytes(slot));
            }
        }

        let shrunk = self.placed - moved.placed;
        *self = moved;
        shrunk
    }

    /// Returns a place for a list, and by how many bytes the memory grew.
    fn place(&mut self, length: usize) -> (usize, usize) {
        let used = self.free.get_mut(length).and_then(Vec::pop);
        if let Some(place) = used {
            return (place as usize, 0);
        }

        let room = self.pages.last().map_or(0, |page| PAGE - page.len());
        if room < length {
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

/// The pairs of one series, in the order of their names.
#[derive(Clone, Debug)]
pub(super) struct Pairs<'a> {
    bytes: &'a [u8],
}

impl Iterator for Pairs<'_> {
    type Item = PairId;

    #[inline]
    fn next(&mut self) -> Option<PairId> {
        let mut pair = 0;

        for shift in (0..35).step_by(7) {
            let (byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            pair |= PairId::from(byte & 0x7f) << shift;

            if *byte < 0x80 {
                break;
            }
        }

        Some(pair)
    }
}

fn put(bytes: &mut Vec<u8>, mut pair: PairId) {
    while pair >= 0x80 {
        bytes.push(pair.to_le_bytes()[0] | 0x80);
        pair >>= 7;
    }

    bytes.push(pair.to_le_bytes()[0]);
}

fn as_place(place: usize) -> u32 {
    u32::try_from(place).expect("the labels of a registry take fewer than 2^32 bytes")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(lists: &PairLists, slot: Slot) -> Vec<PairId> {
        lists.of(slot).collect()
    }

    proptest! {
        #[test]
        fn each_series_has_its_own_list_whatever_comes_and_goes(
            steps in prop::collection::vec(
                (0..40u32, prop_oneof![0..20usize, 0..400usize], any::<PairId>(), 0..32u32), 1..400
            )
        ) {
            let mut lists = PairLists::default();
            let mut model: Vec<Vec<PairId>> = vec![Vec::new(); 40];
            let mut held = 0;
            (0..40).for_each(|_| lists.push());

            for (slot, length, first, shift) in steps {
                let (taken, shrunk) = lists.take(slot);
                prop_assert_eq!(&taken, &model[slot as usize]);

                let first = first >> shift;
                let list: Vec<PairId> = (0..length).map(|at| first.wrapping_add(PairId::try_from(at).unwrap())).collect();
                held += lists.set(slot, &list);
                held -= shrunk;
                model[slot as usize] = list;
            }

            for (slot, expected) in (0..).zip(&model) {
                prop_assert_eq!(&list(&lists, slot), expected);
            }

            prop_assert!(held >= model.iter().map(Vec::len).sum());
        }
    }

    #[test]
    fn a_place_is_used_again_by_a_list_of_its_length() {
        let mut lists = PairLists::default();
        lists.push();
        lists.push();

        assert_eq!(lists.set(0, &[1, 2, 300]), 4);
        lists.take(0);

        assert_eq!(lists.set(1, &[4, 5]), 2);
        assert_eq!(lists.set(0, &[600, 700]), 0);
        assert_eq!(
            (list(&lists, 0), list(&lists, 1)),
            (vec![600, 700], vec![4, 5])
        );
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

    #[test]
    fn lists_that_are_left_move_together() {
        let mut lists = PairLists::default();
        let of = |slot: Slot| vec![slot; if slot == 7 { 300 } else { 5 }];
        let mut held = 0;

        for slot in 0..10_000 {
            lists.push();
            held += lists.set(slot, &of(slot));
        }

        for slot in (0..10_000).filter(|slot| slot % 100 != 7) {
            held -= lists.take(slot).1;
        }

        held -= lists.truncate(9_908);
        assert!(held < 2_000, "{held}");

        for slot in 0..9_908 {
            let expected = if slot % 100 == 7 {
                of(slot)
            } else {
                Vec::new()
            };
            assert_eq!(list(&lists, slot), expected);
        }

        (0..9_908).for_each(|slot| held -= lists.take(slot).1);
        lists.push();
        assert!(lists.set(9_908, &[1, 2]) <= 2);
        assert_eq!(list(&lists, 9_908), [1, 2]);
    }
}
