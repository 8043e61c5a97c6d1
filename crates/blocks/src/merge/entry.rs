//! The entry of the output of a merge. Pure.

use std::collections::{BTreeMap, BTreeSet};

use duramen_model::{BlockEntry, BlockId, BlockStats, Content, OrderRange, RolledDay};

use crate::error::Error;

/// What the blocks of an output have in common.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutputEntry {
    order: OrderRange,
    level: u8,
    resolution_ms: Option<i64>,
    retention: String,
    content: Content,
    rolled: Vec<RolledDay>,
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
            content: Content::of_merge(inputs.iter().map(|input| input.content)),
            rolled: Vec::new(),
        })
    }

    /// Joins the entries of rollups, of each of which some days are taken.
    ///
    /// # Errors
    /// Those of [`OutputEntry::of`].
    pub(super) fn of_rollups(inputs: Vec<(&BlockEntry, &BTreeSet<i64>)>) -> Result<Self, Error> {
        let entries: Vec<&BlockEntry> = inputs.iter().map(|(entry, _)| *entry).collect();
        let merged = Self::of(&entries)?;

        let days = inputs.iter().flat_map(|(entry, days)| {
            let taken = entry.rolled.iter();
            taken.filter(|day| days.contains(&day.start_ms))
        });
        // Siblings have the same days.
        let days: BTreeMap<i64, &RolledDay> = days.map(|day| (day.start_ms, day)).collect();
        let rolled: Vec<RolledDay> = days.into_values().cloned().collect();

        Ok(Self {
            content: RolledDay::content_of(&rolled),
            rolled,
            ..merged
        })
    }

    /// Returns the entry of a rollup that is made of the inputs. `day` says of which samples.
    pub(super) fn rolled_up(&self, day: RolledDay, resolution_ms: i64) -> Self {
        let days = vec![day];

        Self {
            order: self.order,
            level: 0,
            resolution_ms: Some(resolution_ms),
            retention: self.retention.clone(),
            content: RolledDay::content_of(&days),
            rolled: days,
        }
    }

    /// Returns the entry of one block of the output.
    pub(super) fn of_block(&self, id: BlockId, stats: BlockStats) -> BlockEntry {
        BlockEntry {
            id,
            order: self.order,
            level: self.level,
            resolution_ms: self.resolution_ms,
            retention: self.retention.clone(),
            home: None,
            content: self.content,
            rolled: self.rolled.clone(),
            stats,
        }
    }
}
