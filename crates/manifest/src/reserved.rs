//! Ids for blocks that are not in the manifest yet.

use std::collections::BTreeSet;
use std::sync::Arc;

use duramen_model::BlockId;
use duramen_runtime::Clock;
use parking_lot::Mutex;

/// How far above the horizon the clock of a process must be to be trusted.
const TRUSTED_MS: u64 = 3_600_000;
/// How far above the horizon an id is whose process has a clock that is behind. Collectors keep the
/// horizon about so far behind the time.
const AHEAD_MS: u64 = 24 * 3_600_000;

/// The ids that this process has reserved for blocks of one tenant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reservations {
    ids: Arc<Mutex<BTreeSet<BlockId>>>,
}

/// The id of a block that is about to come. While this is held, this process keeps the horizon
/// below it. Another process may raise the horizon above it; then the commit is refused.
#[derive(Debug)]
pub struct Reserved {
    id: BlockId,
    all: Reservations,
}

impl Reservations {
    /// Reserves a new id, which is above `horizon` even if the clock is days behind.
    pub(crate) fn reserve(&self, clock: &dyn Clock, horizon: Option<BlockId>) -> Reserved {
        let now_ms = u64::try_from(clock.now_ms()).unwrap_or(0);
        let horizon_ms = horizon.map(|horizon| horizon.0.timestamp_ms());

        let id_ms = match horizon_ms {
            Some(horizon_ms) if now_ms < horizon_ms.saturating_add(TRUSTED_MS) => {
                horizon_ms.saturating_add(AHEAD_MS)
            }
            _ => now_ms,
        };

        let id_ms = i64::try_from(id_ms).unwrap_or(i64::MAX);
        let id = BlockId(clock.entropy().ulid(id_ms));
        self.ids.lock().insert(id);

        Reserved {
            id,
            all: self.clone(),
        }
    }

    /// Returns the oldest id that is reserved.
    pub(crate) fn oldest(&self) -> Option<BlockId> {
        self.ids.lock().first().copied()
    }
}

impl Reserved {
    pub const fn id(&self) -> BlockId {
        self.id
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.all.ids.lock().remove(&self.id);
    }
}
