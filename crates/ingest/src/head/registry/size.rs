//! The memory of a registry, counted as it grows and shrinks.
//!
//! The figures are estimates of what is allocated: tables that double are counted as three quarters
//! full, and each allocation has sixteen bytes of its own. A test compares them with what is really
//! allocated. The lists of pairs are counted by [`super::lists`]; their places stay too.

/// The slot of a series, which stays when the series is forgotten: its key, its follower, its
/// tenure, and the place of its label pairs.
pub(super) const SLOT: usize = 34;

/// A series without its label pairs and its slot: its entries in the table of labels and in the
/// order.
pub(super) const SERIES: usize = 28;

/// The entry of a series in the table of keys.
pub(super) const KEY: usize = 14;

/// One label pair of a series: an entry in the pair's postings.
pub(super) const POSTING: usize = 4;

/// The slot of a label pair, which stays when the pair is removed.
pub(super) const PAIR_PLACE: usize = 80;

/// A label pair without its text and its slot: its entries in the other tables, and the first part
/// of its postings.
pub(super) const PAIR: usize = 240;

/// A label name without its text.
pub(super) const NAME: usize = 800;

/// An entry for other bytes in which a series was sent.
pub(super) const SENT: usize = 48;

/// A table is shrunk if its capacity is more than so many times its length.
const ROOM_KEPT: usize = 4;

/// Whether a table of this capacity is shrunk.
pub(super) const fn is_roomy(capacity: usize, len: usize) -> bool {
    capacity > ROOM_KEPT * len + 1024
}

#[cfg(test)]
mod tests {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;

    use duramen_model::Labels;

    use super::super::Registry;

    /// Counts the bytes that each thread has allocated, in steps of sixteen bytes.
    struct Counting;

    thread_local! {
        static HELD: Cell<usize> = const { Cell::new(0) };
    }

    const fn size(layout: Layout) -> usize {
        layout.size().next_multiple_of(16)
    }

    // SAFETY: all calls go to the system's allocator; only numbers are kept beside it.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let _ = HELD.try_with(|held| held.set(held.get().wrapping_add(size(layout))));

            // SAFETY: the caller's promise is passed on.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            let _ = HELD.try_with(|held| held.set(held.get().wrapping_sub(size(layout))));

            // SAFETY: the caller's promise is passed on.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    /// Interns series of `labels` and compares the count with what was allocated.
    fn check(what: &str, count: usize, labels: impl Fn(usize) -> Vec<(String, String)>) {
        let before = HELD.get();
        let mut registry = Registry::default();

        for at in 0..count {
            let pairs = labels(at);
            let set = Labels::from_pairs(
                pairs
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str())),
            )
            .unwrap();

            let slot = registry.intern(&set);
            registry.remember(at as u128 + 1, slot, None);
        }

        let allocated = HELD.get() - before;
        let counted = registry.bytes();

        assert!(
            counted > allocated / 10 * 8,
            "{what}: {counted} counted, {allocated} allocated"
        );

        assert!(
            counted < allocated / 10 * 15,
            "{what}: {counted} counted, {allocated} allocated"
        );
    }

    fn pair(name: &str, value: String) -> (String, String) {
        (name.to_owned(), value)
    }

    #[test]
    fn what_is_counted_is_about_what_is_allocated() {
        for count in [1_000, 10_000] {
            check("usual", count, |at| {
                let shared = (0..8).map(|label| {
                    pair(
                        &format!("label_{label}"),
                        format!("value {}", at % (label + 2)),
                    )
                });

                shared
                    .chain([
                        pair("__name__", format!("metric_{}", at / 100)),
                        pair("pod", format!("pod-{at}")),
                    ])
                    .collect()
            });

            check("bare", count, |at| {
                vec![pair("__name__", format!("metric_{at}"))]
            });
        }

        check("long", 1_000, |at| {
            (0..20)
                .map(|label| pair(&format!("l{label}"), format!("{at:0>1000}-{label}")))
                .collect()
        });

        check("names", 1_000, |at| {
            (0..5)
                .map(|label| pair(&format!("name {at} {label}"), "x".to_owned()))
                .collect()
        });
    }
}
