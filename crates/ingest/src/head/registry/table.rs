//! A hash table of series that has their numbers only, so the caller compares what a number stands
//! for.

use hashbrown::HashTable;

use super::slots::Slot;

/// A part of a hash, and the number of a series. With the part the table grows without a look at
/// the series.
type Entry = (u32, Slot);

/// Numbers of series by a hash.
#[derive(Debug, Default)]
pub(super) struct SlotTable {
    entries: HashTable<Entry>,
}

impl SlotTable {
    /// Returns the series with this hash that `is` accepts.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is: impl FnMut(Slot) -> bool) -> Option<Slot> {
        let part = part(hash);
        self.entries
            .find(spread(part), |(held, slot)| *held == part && is(*slot))
            .map(|(_, slot)| *slot)
    }

    /// Adds a series. It must not be there yet.
    pub(super) fn insert(&mut self, hash: u64, slot: Slot) {
        let part = part(hash);
        self.entries
            .insert_unique(spread(part), (part, slot), |(part, _)| spread(*part));
    }

    /// Removes a series. Returns whether it was there.
    pub(super) fn remove(&mut self, hash: u64, slot: Slot) -> bool {
        let part = part(hash);
        let found = self
            .entries
            .find_entry(spread(part), |entry| *entry == (part, slot));

        found.map(|entry| entry.remove()).is_ok()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Shrinks the table if it is mostly empty.
    pub(super) fn give_room_back(&mut self) {
        if super::size::is_roomy(self.entries.capacity(), self.entries.len()) {
            self.entries.shrink_to_fit(|(part, _)| spread(*part));
        }
    }
}

const fn part(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Returns a hash for the table, which takes the place from its low bits and a mark from its high
/// ones.
const fn spread(part: u32) -> u64 {
    (part as u64) << 32 | part as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_with_one_hash_are_told_apart_by_the_caller() {
        let mut table = SlotTable::default();
        let hash = 0xabcd_ef01_2345_6789;

        for slot in 0..100 {
            table.insert(hash, slot);
        }

        for slot in 0..100 {
            assert_eq!(table.find(hash, |held| held == slot), Some(slot));
        }

        assert!(table.remove(hash, 50));
        assert!(!table.remove(hash, 50));
        assert_eq!(table.find(hash, |held| held == 50), None);
        assert_eq!(
            (table.len(), table.find(hash + (1 << 32), |_| true)),
            (99, None)
        );
    }
}
