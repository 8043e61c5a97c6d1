//! The bytes in which series were sent: a known series is found without decoding its labels.
//!
//! Bytes are known by their key, a 128-bit hash with a secret seed of the process, so senders cannot
//! make two label sets collide. A series has one key, that of the bytes in which it came first. If
//! it is sent in other bytes as well, these are in a second table.
//!
//! Senders repeat the order of their series. So each series remembers which one came after it in a
//! request, and the next request is met there: no table is searched, and the memory is read in its
//! order. A guess is checked by the key of the series that has the number now. So it can be wrong,
//! after another order or when a number was given to another series, and does no harm then.

use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::HashMap as FastMap;
use xxhash_rust::xxh3::Xxh3Builder;

use super::slots::Slot;
use super::table::SlotTable;
use crate::head::column::Column;

/// The key of a series without one.
const NONE: u128 = 0;

/// The keys of the series of a registry.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// The key of each series.
    keys: Column<u128>,
    /// The series that came after each one in the last request with both.
    next: Column<AtomicU32>,
    /// The series by their keys.
    by_key: SlotTable,
    /// Series by their other keys. The second number is the generation of the slot: an entry
    /// outlives its series.
    others: FastMap<u128, (Slot, u32), Xxh3Builder>,
}

impl Sent {
    /// Adds the next number, without a key.
    pub(super) fn push(&mut self) {
        self.keys.push(NONE);
        self.next.push(AtomicU32::new(0));
    }

    /// Drops the numbers from `len` on, which have no keys.
    pub(super) fn truncate(&mut self, len: usize) {
        self.keys.truncate(len);
        self.next.truncate(len);
        self.clear_others();
    }

    /// Returns the series that came after `before` last time, if `key` is its key.
    #[inline]
    pub(super) fn guess(&self, before: Slot, key: u128) -> Option<Slot> {
        let slot = self.next[before as usize].load(Ordering::Relaxed);
        let held = self.keys.get(slot as usize);

        (held == Some(&key) && key != NONE).then_some(slot)
    }

    /// Notes that `slot` came after `before`.
    pub(super) fn note(&self, before: Slot, slot: Slot) {
        self.next[before as usize].store(slot, Ordering::Relaxed);
    }

    /// Returns the series with this key.
    pub(super) fn find(&self, key: u128) -> Option<Slot> {
        self.by_key
            .find(hash(key), |slot| self.keys[slot as usize] == key)
    }

    /// Returns the series that has this key beside its own, and the generation of its number then.
    pub(super) fn find_other(&self, key: u128) -> Option<(Slot, u32)> {
        if self.others.is_empty() {
            return None;
        }

        self.others.get(&key).copied()
    }

    /// Adds a key of a series. Returns whether it is the first one.
    pub(super) fn remember(&mut self, key: u128, slot: Slot, generation: u32) -> Remembered {
        let own = &mut self.keys[slot as usize];

        if *own == key {
            return Remembered::Known;
        }

        if *own == NONE && key != NONE {
            *own = key;
            self.by_key.insert(hash(key), slot);
            return Remembered::Own;
        }

        match self.others.insert(key, (slot, generation)) {
            None => Remembered::Other,
            Some(_) => Remembered::Known,
        }
    }

    /// Forgets the key of a series. Returns whether it had one.
    pub(super) fn forget(&mut self, slot: Slot) -> bool {
        let own = std::mem::replace(&mut self.keys[slot as usize], NONE);
        own != NONE && self.by_key.remove(hash(own), slot)
    }

    pub(super) fn others(&self) -> usize {
        self.others.len()
    }

    pub(super) fn clear_others(&mut self) {
        self.others = FastMap::default();
    }

    pub(super) fn give_room_back(&mut self) {
        self.by_key.give_room_back();
    }
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remembered {
    Own,
    Other,
    Known,
}

const fn hash(key: u128) -> u64 {
    (key >> 64) as u64
}

#[cfg(test)]
mod tests {
    use duramen_model::Labels;
    use proptest::prelude::*;
    use roaring::RoaringBitmap;

    use super::super::{OpenSegment, SharedRegistry};

    fn labels(number: u8) -> Labels {
        Labels::from_pairs([("__name__", "m"), ("number", &number.to_string())]).unwrap()
    }

    /// The key of a series in one of the forms in which it is sent.
    fn key(number: u8, form: u8) -> u128 {
        (u128::from(number) + 1) << 64 | u128::from(form)
    }

    /// Sends series in this order. Returns how many were known.
    fn send(registry: &SharedRegistry, order: impl IntoIterator<Item = (u8, u8)>) -> usize {
        let mut before = None;
        let mut known = 0;

        for (number, form) in order {
            let key = key(number, form);
            let recalled = registry.read().recall(key, before);

            let slot = match recalled {
                Some(slot) => {
                    known += 1;
                    slot
                }
                None => {
                    let slot = registry.write().intern(&labels(number));
                    registry.write().remember(key, slot, before);
                    slot
                }
            };

            assert_eq!(registry.read().labels(slot), labels(number));
            before = Some(slot);
        }

        known
    }

    /// Returns how many series of a request come where they are expected.
    fn guessed(registry: &SharedRegistry, order: &[u8]) -> usize {
        let registry = registry.read();
        let slot = |number: u8| registry.find(&labels(number)).unwrap();

        order
            .windows(2)
            .filter(|two| registry.sent.guess(slot(two[0]), key(two[1], 0)) == Some(slot(two[1])))
            .count()
    }

    #[test]
    fn an_order_is_expected_after_it_was_sent_once() {
        let registry = SharedRegistry::default();
        let order: Vec<u8> = (0..100).rev().chain(100..200).collect();
        let request = || order.iter().map(|number| (*number, 0));

        assert_eq!(send(&registry, request()), 0);
        assert_eq!(guessed(&registry, &order), 199);
        assert_eq!(send(&registry, request()), 200);
    }

    #[test]
    fn senders_that_take_turns_with_two_orders_are_both_understood() {
        let registry = SharedRegistry::default();
        let up = || (0..100).map(|number| (number, 0));
        let down = || (0..100).rev().map(|number| (number, 0));
        send(&registry, up());

        for _ in 0..3 {
            assert_eq!((send(&registry, down()), send(&registry, up())), (100, 100));
        }
    }

    #[test]
    fn a_series_in_two_forms_is_known_in_both() {
        let registry = SharedRegistry::default();
        let both = || (0..100).flat_map(|number| [(number, 0), (number, 1)]);

        assert_eq!(send(&registry, both()), 0);
        assert_eq!(send(&registry, both()), 200);
        assert_eq!(registry.read().sent.others(), 100);
    }

    #[test]
    fn a_series_with_a_number_of_another_one_is_not_taken_for_it() {
        let open = OpenSegment::default();
        let registry = SharedRegistry::new(open.clone(), 0);
        send(&registry, [(1, 0), (2, 0), (3, 0)]);

        for _ in 0..2 {
            send(&registry, [(1, 0), (3, 0)]);
            registry.forget(RoaringBitmap::new);
        }

        assert_eq!(registry.read().find(&labels(2)), None);

        open.set(1);
        send(&registry, [(9, 0)]);
        let reused = registry.read().find(&labels(9));
        assert_eq!(reused, Some(1), "it has the number of the forgotten one");

        assert_eq!(send(&registry, [(1, 0), (9, 0), (2, 0), (3, 0)]), 3);
    }

    #[test]
    fn equal_hashes_of_labels_and_equal_parts_of_keys_do_not_make_series_equal() {
        let registry = SharedRegistry::default();
        send(&registry, [(1, 0)]);

        let mut registry = registry.write();
        let hash = registry.hash(labels(2).encoded());
        registry.slots.insert(hash, 0);

        assert_eq!(registry.find(&labels(2)), None);
        assert_eq!(registry.recall(key(1, 7), None), None);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Send(Vec<(u8, u8)>),
        Forget,
        Rotate,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => prop::collection::vec((0..12u8, 0..3u8), 1..12).prop_map(Step::Send),
            1 => Just(Step::Forget),
            1 => Just(Step::Rotate),
        ]
    }

    proptest! {
        #[test]
        fn what_is_recalled_is_what_was_sent(steps in prop::collection::vec(step(), 1..80)) {
            let open = OpenSegment::default();
            let registry = SharedRegistry::new(open.clone(), 0);
            let mut segment = 0;

            for step in steps {
                match step {
                    Step::Send(order) => {
                        send(&registry, order.iter().copied());
                        prop_assert_eq!(send(&registry, order.iter().copied()), order.len());
                    }
                    Step::Forget => _ = registry.forget(RoaringBitmap::new),
                    Step::Rotate => {
                        segment += 1;
                        open.set(segment);
                    }
                }
            }
        }
    }
}
