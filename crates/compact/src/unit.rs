//! What a merge takes as a whole: a block, or all siblings of one output. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duramen_model::{BlockEntry, BlockId, Content, Order, TimeRange};

use crate::window::{Span, Window};

/// A block, or all siblings of one output.
#[derive(Debug)]
pub(crate) struct Unit<'a> {
    /// By name and id.
    pub(crate) blocks: Vec<&'a Arc<BlockEntry>>,
    /// Which value counts: that of the smaller order.
    pub(crate) order: Order,
    pub(crate) level: u8,
    pub(crate) bytes: u64,
    /// The class of retention, which all blocks of an output have in common.
    pub(crate) retention: &'a str,
    /// Whether a merge may take it.
    pub(crate) is_free: bool,
    range: TimeRange,
    /// The first and the last metric name. `None` without series.
    names: Option<(&'a str, &'a str)>,
}

impl<'a> Unit<'a> {
    /// Joins the blocks of raw samples to units, ascending by order. A unit with a block of `held`
    /// is not free.
    pub(crate) fn all(
        blocks: impl IntoIterator<Item = &'a Arc<BlockEntry>>,
        held: &BTreeSet<BlockId>,
    ) -> Vec<Self> {
        let mut outputs: BTreeMap<(Content, &str), Vec<&'a Arc<BlockEntry>>> = BTreeMap::new();
        let raw = blocks
            .into_iter()
            .filter(|entry| entry.resolution_ms.is_none());

        for entry in raw {
            let siblings = outputs
                .entry((entry.content, &entry.retention))
                .or_default();
            siblings.push(entry);
        }

        let units = outputs.into_values();
        let mut units: Vec<_> = units.filter_map(|blocks| Self::of(blocks, held)).collect();
        units.sort_by_key(|unit| (unit.order, unit.id()));
        units
    }

    fn of(mut blocks: Vec<&'a Arc<BlockEntry>>, held: &BTreeSet<BlockId>) -> Option<Self> {
        blocks.sort_by_key(|entry| (first_name(entry), entry.id));

        let first = *blocks.first()?;
        let min_ts_ms = blocks.iter().map(|entry| entry.stats.min_ts_ms).min()?;
        let max_ts_ms = blocks.iter().map(|entry| entry.stats.max_ts_ms).max()?;
        let first_name = blocks.iter().filter_map(|entry| first_name(entry)).min();
        let last_name = blocks.iter().filter_map(|entry| last_name(entry)).max();
        let bytes = blocks.iter().map(|entry| entry.stats.bytes());
        let is_held = blocks.iter().any(|entry| held.contains(&entry.id));

        Some(Self {
            order: blocks.iter().map(|entry| entry.order.min).min()?,
            level: blocks.iter().map(|entry| entry.level).max()?,
            bytes: bytes.fold(0, u64::saturating_add),
            retention: &first.retention,
            is_free: !is_held,
            range: TimeRange::closed(min_ts_ms, max_ts_ms)?,
            names: first_name.zip(last_name),
            blocks,
        })
    }

    /// The smallest id.
    pub(crate) fn id(&self) -> Option<BlockId> {
        self.blocks.iter().map(|entry| entry.id).min()
    }

    /// Whether both may have different values for one time of one series.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let share_names = |(a, b): ((&str, &str), (&str, &str))| a.0 <= b.1 && b.0 <= a.1;

        self.range.overlaps(other.range) && self.names.zip(other.names).is_some_and(share_names)
    }

    /// Returns the window that holds all times of the unit, if there is one.
    pub(crate) fn window(&self, span: Span) -> Option<Window> {
        let mut windows = self
            .blocks
            .iter()
            .map(|entry| Window::around(span, &entry.stats));

        let first = windows.next()??;
        windows.all(|window| window == Some(first)).then_some(first)
    }
}

fn first_name(entry: &BlockEntry) -> Option<&str> {
    entry.stats.names.as_ref().map(|names| &*names.first)
}

fn last_name(entry: &BlockEntry) -> Option<&str> {
    entry.stats.names.as_ref().map(|names| &*names.last)
}
