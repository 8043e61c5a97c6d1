//! An allocator that counts, for tests and measurements of memory. A process has one, so such a test
//! is alone in its binary:
//!
//! ```
//! use duramen_testkit::allocator::{Counting, Peak};
//!
//! #[global_allocator]
//! static ALLOCATOR: Counting = Counting;
//!
//! let peak = Peak::start();
//! let bytes = vec![0_u8; 1 << 20];
//! assert!(peak.bytes() >= bytes.len());
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes that are allocated now, and the most that ever were since the last [`Peak::start`].
static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, whose bytes are counted.
#[derive(Debug)]
pub struct Counting;

// SAFETY: all calls go to the system's allocator; only numbers are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);

        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);

        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The peak of a piece of work. Only one at a time makes sense.
#[derive(Debug)]
pub struct Peak {
    before: usize,
}

impl Peak {
    /// Forgets the peak so far.
    pub fn start() -> Self {
        let before = HELD.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        Self { before }
    }

    /// Returns how many bytes more there were at the peak than at the start.
    pub fn bytes(&self) -> usize {
        PEAK.load(Ordering::Relaxed).saturating_sub(self.before)
    }
}
