//! Which entry goes next: S3-FIFO, without I/O.
//!
//! New entries stand in a small queue. Those that are used while they stand there move on to the
//! main queue, the others go. So a scan passes through the small queue, and what is used often
//! stays. An entry of the main queue that was used since it last came to the end goes round once
//! more. An entry that comes back soon after it went stands in the main queue at once.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::key::Digest;

/// The part of the small queue: one in so many bytes.
const SMALL_SHARE: u64 = 10;
/// More uses than this do not count.
const USES_MAX: u8 = 3;
/// A file takes whole blocks of the file system.
const FILE_BLOCK: u64 = 4096;
/// About what an entry takes in memory: its slots in a map and in a queue, both not full, and that
/// of one that is gone.
pub(super) const SLOT_BYTES: u64 = 128;

/// All entries, and the order in which they go.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    slots: HashMap<Digest, Slot>,
    small: Queue,
    main: Queue,
    gone: Gone,
    next: u64,
}

/// An entry and its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) digest: Digest,
    /// Counts up over all files of the folder. So no two files have one name.
    pub(super) number: u64,
    pub(super) length: u32,
}

#[derive(Debug)]
struct Slot {
    item: Item,
    uses: u8,
    is_main: bool,
}

/// The entries in their order. One that was taken from the middle leaves its name here, which is
/// passed over.
#[derive(Debug, Default)]
struct Queue {
    order: VecDeque<(Digest, u64)>,
    bytes: u64,
}

/// The entries that went lately.
#[derive(Debug, Default)]
struct Gone {
    order: VecDeque<Digest>,
    set: HashSet<Digest>,
}

impl Item {
    /// What the file takes of the disk.
    pub(super) const fn disk_bytes(&self) -> u64 {
        disk_bytes(self.length as u64)
    }
}

/// What a file of `length` bytes takes of the disk.
pub(super) const fn disk_bytes(length: u64) -> u64 {
    let blocks = length.div_ceil(FILE_BLOCK);
    (if blocks == 0 { 1 } else { blocks }) * FILE_BLOCK
}

impl Shelf {
    /// The shelf that an earlier process left. Nobody knows what of it was used, so all stands in
    /// the main queue.
    ///
    /// Returns the items too that an item with a higher number replaces.
    pub(super) fn of(mut items: Vec<Item>) -> (Self, Vec<Item>) {
        items.sort_unstable_by_key(|item| std::cmp::Reverse(item.number));

        let mut shelf = Self::default();
        let mut replaced = Vec::new();
        shelf.next = items.first().map_or(0, |item| item.number + 1);

        let mut kept = HashSet::new();
        items.retain(|item| {
            let is_first = kept.insert(item.digest);
            if !is_first {
                replaced.push(*item);
            }

            is_first
        });

        for item in items.into_iter().rev() {
            shelf.put(item, true);
        }

        (shelf, replaced)
    }

    pub(super) fn contains(&self, digest: Digest) -> bool {
        self.slots.contains_key(&digest)
    }

    pub(super) fn len(&self) -> u64 {
        self.slots.len() as u64
    }

    /// What all files take of the disk.
    pub(super) const fn bytes(&self) -> u64 {
        self.small.bytes + self.main.bytes
    }

    /// The item of an entry that is used now.
    pub(super) fn find(&mut self, digest: Digest) -> Option<Item> {
        let slot = self.slots.get_mut(&digest)?;
        slot.uses = (slot.uses + 1).min(USES_MAX);
        Some(slot.item)
    }

    /// Reserves a number for the file of a new entry.
    pub(super) fn number(&mut self, digest: Digest, length: u32) -> Item {
        let number = self.next;
        self.next += 1;

        Item {
            digest,
            number,
            length,
        }
    }

    /// Adds an entry whose file is written. Returns the item that it replaces.
    pub(super) fn add(&mut self, item: Item) -> Option<Item> {
        let replaced = self.remove(item.digest);
        let came_back = self.gone.forget(item.digest);
        self.put(item, came_back);
        replaced
    }

    fn put(&mut self, item: Item, is_main: bool) {
        self.queue(is_main).push(item);
        let slot = Slot {
            item,
            uses: 0,
            is_main,
        };

        self.slots.insert(item.digest, slot);
    }

    pub(super) fn remove(&mut self, digest: Digest) -> Option<Item> {
        let slot = self.slots.remove(&digest)?;
        self.queue(slot.is_main).bytes -= slot.item.disk_bytes();
        Some(slot.item)
    }

    /// Takes the entry that goes next.
    pub(super) fn evict(&mut self) -> Option<Item> {
        loop {
            let is_small_full = self.small.bytes > self.bytes() / SMALL_SHARE;
            let from_main = !is_small_full && self.main.bytes > 0;
            let (digest, number) = self.queue(from_main).order.pop_front()?;

            let Some(slot) = self.slots.get_mut(&digest) else {
                continue;
            };

            if slot.item.number != number {
                continue;
            }

            if slot.uses == 0 {
                let item = self.remove(digest);
                self.gone.note(digest, self.slots.len());
                return item;
            }

            let item = slot.item;
            let was_main = slot.is_main;
            slot.uses = if was_main { slot.uses - 1 } else { 0 };
            slot.is_main = true;

            self.queue(was_main).bytes -= item.disk_bytes();
            self.main.push(item);
        }
    }

    const fn queue(&mut self, is_main: bool) -> &mut Queue {
        if is_main {
            &mut self.main
        } else {
            &mut self.small
        }
    }
}

impl Queue {
    fn push(&mut self, item: Item) {
        self.order.push_back((item.digest, item.number));
        self.bytes += item.disk_bytes();
    }
}

impl Gone {
    /// Notes an entry, and forgets the oldest when there are more than `max`.
    fn note(&mut self, digest: Digest, max: usize) {
        if self.set.insert(digest) {
            self.order.push_back(digest);
        }

        while self.order.len() > max.max(1) {
            if let Some(oldest) = self.order.pop_front() {
                self.set.remove(&oldest);
            }
        }
    }

    /// Whether the entry went lately. It stands in the order until it is the oldest.
    fn forget(&mut self, digest: Digest) -> bool {
        self.set.remove(&digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(shelf: &mut Shelf, digest: u128) {
        let item = shelf.number(Digest(digest), 4096);
        assert_eq!(shelf.add(item), None);
    }

    fn bound(shelf: &mut Shelf, entries: u64) {
        while shelf.len() > entries {
            shelf.evict().unwrap();
        }
    }

    #[test]
    fn a_scan_does_not_push_out_what_is_used() {
        let mut shelf = Shelf::default();
        for digest in 0..50 {
            add(&mut shelf, digest);
            shelf.find(Digest(digest));
        }

        for digest in 1000..10_000 {
            add(&mut shelf, digest);
            bound(&mut shelf, 100);
        }

        assert!((0..50).all(|digest| shelf.contains(Digest(digest))));
        assert_eq!(shelf.bytes(), 100 * 4096);
        assert!(shelf.gone.order.len() <= 100);
    }

    #[test]
    fn what_is_not_used_for_long_goes_although_it_was_used() {
        let mut shelf = Shelf::default();
        for digest in 0..10_000 {
            add(&mut shelf, digest);
            shelf.find(Digest(digest));
            bound(&mut shelf, 100);
        }

        assert!((0..9000).all(|digest| !shelf.contains(Digest(digest))));
        assert_eq!(shelf.len(), 100);
    }

    #[test]
    fn what_comes_back_soon_stays() {
        let mut shelf = Shelf::default();
        for digest in 0..120 {
            add(&mut shelf, digest);
            bound(&mut shelf, 100);
        }

        let gone = (0..120)
            .find(|digest| !shelf.contains(Digest(*digest)))
            .unwrap();
        add(&mut shelf, gone);

        for digest in 1000..1050 {
            add(&mut shelf, digest);
            bound(&mut shelf, 100);
        }

        assert!(shelf.contains(Digest(gone)));
    }

    #[test]
    fn what_an_earlier_process_left_keeps_its_order_and_its_numbers() {
        let item = |digest, number| Item {
            digest: Digest(digest),
            number,
            length: 1,
        };

        let (mut shelf, replaced) = Shelf::of(vec![item(1, 9), item(2, 3), item(1, 4), item(3, 7)]);

        assert_eq!(replaced, [item(1, 4)]);
        assert_eq!(shelf.bytes(), 3 * 4096);
        assert_eq!(shelf.number(Digest(5), 1).number, 10);
        assert_eq!(shelf.evict(), Some(item(2, 3)));
        assert_eq!(shelf.evict(), Some(item(3, 7)));
        assert_eq!(shelf.evict(), Some(item(1, 9)));
        assert_eq!((shelf.evict(), shelf.bytes()), (None, 0));
    }

    #[test]
    fn a_removed_entry_leaves_nothing() {
        let mut shelf = Shelf::default();
        add(&mut shelf, 1);
        add(&mut shelf, 2);
        shelf.remove(Digest(1)).unwrap();
        add(&mut shelf, 1);

        assert_eq!(shelf.bytes(), 2 * 4096);
        assert_eq!(shelf.evict().unwrap().digest, Digest(2));
        assert_eq!(shelf.evict().unwrap().digest, Digest(1));
        assert_eq!(shelf.evict(), None);
    }
}
