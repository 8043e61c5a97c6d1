//! The entry of the output of a merge. Pure.

use duramen_model::{BlockEntry, BlockId, BlockStats, Content, OrderRange, TenantId};

use crate::error::Error;

/// What the blocks of an output have in common.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutputEntry {
    order: OrderRange,
    level: u8,
    resolution_ms: Option<i64>,
    retention: String,
    home: Option<TenantId>,
    content: Content,
}

impl OutputEntry {
    /// Joins the entries of the inputs. A block that is written again keeps its level.
    ///
    /// # Errors
    /// [`Error::Mixed`] if two inputs differ in what a block has only one of.
    pub(super) fn of(inputs: &[&BlockEntry]) -> Result<Self, Error> {
        let [first, others @ ..] = inputs else {
            return Err(Error::NoInput);
        };

        for other in others {
            let same = [
                ("resolution", first.resolution_ms == other.resolution_ms),
                ("retention", first.retention == other.retention),
                ("home", first.home == other.home),
            ];

            if let Some((what, _)) = same.into_iter().find(|(_, same)| !same) {
                return Err(Error::Mixed {
                    what,
                    block: first.id,
                    other: other.id,
                });
            }
        }

        let joined = |order: OrderRange, other: &&BlockEntry| OrderRange {
            min: order.min.min(other.order.min),
            max: order.max.max(other.order.max),
        };

        let level = inputs.iter().map(|input| input.level).max().unwrap_or(0);
        let merges = u8::from(!others.is_empty());

        Ok(Self {
            order: others.iter().fold(first.order, joined),
            level: level.saturating_add(merges),
            resolution_ms: first.resolution_ms,
            retention: first.retention.clone(),
            home: first.home,
            content: Content::of_merge(inputs.iter().map(|input| input.content)),
        })
    }

    /// Returns the entry of one block of the output.
    pub(super) fn of_block(&self, id: BlockId, stats: BlockStats) -> BlockEntry {
        BlockEntry {
            id,
            order: self.order,
            level: self.level,
            resolution_ms: self.resolution_ms,
            retention: self.retention.clone(),
            home: self.home,
            content: self.content,
            stats,
        }
    }
}
