//! A merge that is to be done.

use std::fmt;
use std::sync::Arc;

use duramen_model::{BlockEntry, BlockId};
use xxhash_rust::xxh3::Xxh3;

use crate::window::Window;

/// Why blocks are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// There are many fragments of a window that is still open.
    Fragments,
    /// A window of two hours is over.
    Hours,
    /// A day is over.
    Day,
    /// A block has deleted samples.
    Clean,
}

impl Level {
    pub const ALL: [Self; 4] = [Self::Fragments, Self::Hours, Self::Day, Self::Clean];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Fragments => "fragments",
            Self::Hours => "hours",
            Self::Day => "day",
            Self::Clean => "clean",
        }
    }
}

/// Blocks of one window, which are to become one output.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub level: Level,
    pub window: Window,
    /// Ascending by order. Of an output that was cut into siblings, all are here.
    pub inputs: Vec<Arc<BlockEntry>>,
}

impl Job {
    pub fn ids(&self) -> impl Iterator<Item = BlockId> {
        self.inputs.iter().map(|entry| entry.id)
    }

    /// The bytes of all inputs.
    pub fn bytes(&self) -> u64 {
        let bytes = self.inputs.iter().map(|entry| entry.stats.bytes());
        bytes.fold(0, u64::saturating_add)
    }

    /// Identifies the work: xxh3-128 of the ids of the inputs, ascending, and the window. Equal
    /// jobs of two workers have equal digests.
    pub fn digest(&self) -> Digest {
        let mut ids: Vec<BlockId> = self.ids().collect();
        ids.sort_unstable();

        let mut hash = Xxh3::new();
        hash.update(&self.window.start_ms().to_be_bytes());
        hash.update(&self.window.span.length_ms().to_be_bytes());

        for id in ids {
            hash.update(&id.0.to_bytes());
        }

        Digest(hash.digest128())
    }
}

/// The identity of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(u128);

/// 32 hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
