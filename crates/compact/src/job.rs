//! A merge that is to be done.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use duramen_model::{BlockEntry, BlockId, RolledDay};
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
    /// A day is over, and has no rollups. Its samples stay as they are.
    Rollups,
    /// There are rollups of all days of a longer period.
    Periods,
}

impl Level {
    pub const ALL: [Self; 6] = [
        Self::Fragments,
        Self::Hours,
        Self::Day,
        Self::Clean,
        Self::Rollups,
        Self::Periods,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Fragments => "fragments",
            Self::Hours => "hours",
            Self::Day => "day",
            Self::Clean => "clean",
            Self::Rollups => "rollups",
            Self::Periods => "periods",
        }
    }

    /// Whether its jobs write samples, and not rollups alone.
    pub(crate) const fn writes_samples(self) -> bool {
        !matches!(self, Self::Rollups | Self::Periods)
    }
}

/// Blocks of one window, which are to become one output.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub level: Level,
    pub window: Window,
    /// Ascending by order. Of an output that was cut into siblings, all are here.
    pub inputs: Vec<Arc<BlockEntry>>,
    /// The rollups that are made in the same pass.
    pub rolling: Option<Rolling>,
    /// Of inputs that are rollups: the days that are taken of each, by their starts.
    pub days: BTreeMap<BlockId, BTreeSet<i64>>,
}

/// The rollups of one day that are to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rolling {
    /// The day, and which samples of it there are.
    pub day: RolledDay,
    pub resolutions_ms: Vec<i64>,
    /// Earlier rollups of the day, in whose place they come.
    pub replaced: Vec<BlockId>,
}

impl Job {
    /// The blocks that go when the job is done.
    pub fn removed(&self) -> Vec<BlockId> {
        let inputs = self.ids().filter(|_| self.level != Level::Rollups);
        let replaced = self.rolling.iter().flat_map(|rolling| &rolling.replaced);
        inputs.chain(replaced.copied()).collect()
    }

    pub fn ids(&self) -> impl Iterator<Item = BlockId> {
        self.inputs.iter().map(|entry| entry.id)
    }

    /// The bytes of all inputs.
    pub fn bytes(&self) -> u64 {
        let bytes = self.inputs.iter().map(|entry| entry.stats.bytes());
        bytes.fold(0, u64::saturating_add)
    }

    /// Identifies the work: xxh3-128 of the window, the ids of the inputs, ascending, and the
    /// resolutions of the rollups. Equal jobs of two workers have equal digests.
    pub fn digest(&self) -> Digest {
        let mut ids: Vec<BlockId> = self.ids().collect();
        ids.sort_unstable();

        let mut hash = Xxh3::new();
        hash.update(&self.window.start_ms().to_be_bytes());
        hash.update(&self.window.span.length_ms().to_be_bytes());

        for id in ids {
            hash.update(&id.0.to_bytes());
        }

        let rolling = self
            .rolling
            .iter()
            .flat_map(|rolling| &rolling.resolutions_ms);
        for resolution_ms in rolling {
            hash.update(&resolution_ms.to_be_bytes());
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
