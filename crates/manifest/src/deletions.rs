//! The deletions of a tenant: which samples they mask, and what is still to be removed. Pure.
//!
//! A deletion masks what was acknowledged before it. Of blocks, these are the ones that were live
//! at its edit, and those that a later flush brings whose records have positions before the ones
//! that the deletion names. Any other block that comes later is exempt, and so is the output of a
//! merge, which has none of the deleted samples.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duramen_model::{BlockEntry, BlockId, Matcher, TimeRange, WriterId};
use ulid::Ulid;

use crate::tombstone::{AskedDeletion, Tombstone};

/// The most deletions of one tenant whose samples are not gone yet.
pub const DELETIONS_MAX: usize = 1_000;
/// So many deletions are remembered after all of their samples are gone.
pub const GONE_MAX: usize = 200;

/// The deletions of a tenant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deletions {
    /// Those whose samples are not gone yet, by their numbers.
    pub in_force: BTreeMap<u64, Arc<Tombstone>>,
    /// The last ones whose samples are gone.
    pub gone: BTreeMap<u64, Arc<Tombstone>>,
    /// The deletions up to this number should be cleaned soon.
    pub clean: u64,
    /// Blocks that had deleted samples and are not live any more. Their objects may still be there.
    pub remains: BTreeMap<BlockId, Arc<BlockEntry>>,
    /// Live blocks that no deletion up to this number masks.
    pub(crate) exempt: BTreeMap<BlockId, u64>,
}

impl Deletions {
    /// Whether nothing was ever deleted, or everything is forgotten.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The number of the last deletion in force; 0 if there is none.
    pub fn last(&self) -> u64 {
        let last = self.in_force.last_key_value();
        last.map_or(0, |(number, _)| *number)
    }

    /// Returns a deletion, whether it is in force or gone.
    pub fn get(&self, id: Ulid) -> Option<&Arc<Tombstone>> {
        let mut all = self.all();
        all.find(|tombstone| tombstone.asked.id == id)
    }

    /// All deletions: those that are gone first.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Arc<Tombstone>> {
        self.gone.values().chain(self.in_force.values())
    }

    /// Whether the deletion masks samples of a live block, if the block has any that it means.
    fn masks(&self, tombstone: &Tombstone, block: BlockId) -> bool {
        let exempt = self.exempt.get(&block).copied().unwrap_or(0);
        exempt < tombstone.number
    }

    /// Whether a live block may have samples that the deletion masks, by time and metric names.
    pub fn touches(&self, tombstone: &Tombstone, entry: &BlockEntry) -> bool {
        self.masks(tombstone, entry.id) && tombstone.may_mean(entry)
    }

    /// Returns the deletions that may mask samples of a live block.
    pub fn touching<'a>(
        &'a self,
        entry: &'a BlockEntry,
    ) -> impl Iterator<Item = &'a Arc<Tombstone>> {
        let all = self.in_force.values();
        all.filter(|tombstone| self.touches(tombstone, entry))
    }

    /// Returns the deletions that may mean samples in `range` of series that pass `matchers`.
    pub fn meeting<'a>(
        &'a self,
        matchers: &'a [Matcher],
        range: TimeRange,
    ) -> impl Iterator<Item = &'a Arc<Tombstone>> {
        self.in_force.values().filter(move |tombstone| {
            let deletion = &tombstone.asked.deletion;
            deletion.range.overlaps(range) && deletion.may_meet(matchers)
        })
    }

    /// Whether a deletion that was made after the edit `sequence` may be forgotten.
    pub(crate) fn may_have_forgotten(&self, sequence: u64) -> bool {
        let oldest_gone = self.gone.keys().next().copied().unwrap_or(0);
        self.gone.len() >= GONE_MAX && oldest_gone > sequence
    }

    /// Returns these deletions, which belong to the state after edit `sequence`, with those of
    /// `now` that were made later. All samples of that state were acknowledged before, so the later
    /// ones mask all of its blocks.
    pub(crate) fn with_later(&self, sequence: u64, now: &Self) -> Self {
        let mut with_later = self.clone();
        let later = now.gone.iter().chain(&now.in_force);
        let later = later.filter(|(number, _)| **number > sequence);

        for (number, tombstone) in later {
            with_later.in_force.insert(*number, Arc::clone(tombstone));
        }

        with_later
    }

    /// Puts a deletion in force.
    pub(crate) fn add(&mut self, number: u64, asked: &Arc<AskedDeletion>) {
        let last = self.in_force.values().next_back();
        let mut positions = last.map_or_else(BTreeMap::new, |last| last.positions.clone());

        for (writer, position) in &asked.positions {
            let known = positions.entry(*writer).or_default();
            *known = (*known).max(*position);
        }

        let tombstone = Tombstone {
            number,
            asked: Arc::clone(asked),
            positions,
            remains: BTreeSet::new(),
            gone_ms: None,
        };

        self.in_force.insert(number, Arc::new(tombstone));
    }

    /// Notes the blocks of a flush: the records of `writer` before `position`. They are exempt from
    /// the deletions that do not name so late a position.
    pub(crate) fn note_flush(
        &mut self,
        added: &[Arc<BlockEntry>],
        writer: WriterId,
        position: u64,
    ) {
        let mut all = self.in_force.values().rev();
        let is_earlier = |tombstone: &&Arc<Tombstone>| {
            let until = tombstone.positions.get(&writer).copied();
            until.unwrap_or(0) < position
        };

        if let Some(last) = all.find(is_earlier) {
            let number = last.number;
            let added = added.iter().map(|entry| (entry.id, number));
            self.exempt.extend(added);
        }
    }

    /// Notes blocks without deleted samples.
    pub(crate) fn note_clean(&mut self, blocks: impl IntoIterator<Item = BlockId>, through: u64) {
        if through > 0 {
            let blocks = blocks.into_iter().map(|block| (block, through));
            self.exempt.extend(blocks);
        }
    }

    /// Notes that a live block goes. The objects of a block in another tenant's folder are that
    /// tenant's to delete.
    pub(crate) fn note_removed(&mut self, entry: &Arc<BlockEntry>) {
        if entry.home.is_some() {
            self.exempt.remove(&entry.id);
            return;
        }

        let touching: Vec<u64> = self.touching(entry).map(|one| one.number).collect();

        for number in &touching {
            if let Some(tombstone) = self.in_force.get_mut(number) {
                Arc::make_mut(tombstone).remains.insert(entry.id);
            }
        }

        if !touching.is_empty() {
            self.remains.insert(entry.id, Arc::clone(entry));
        }

        self.exempt.remove(&entry.id);
    }

    /// Notes that the objects of blocks are deleted.
    pub(crate) fn note_deleted(&mut self, blocks: &[BlockId]) {
        for block in blocks {
            self.remains.remove(block);
        }

        for tombstone in self.in_force.values_mut() {
            if blocks.iter().any(|block| tombstone.remains.contains(block)) {
                let tombstone = Arc::make_mut(tombstone);
                tombstone.remains.retain(|one| !blocks.contains(one));
            }
        }
    }

    /// Ends a deletion whose samples are gone.
    pub(crate) fn end(&mut self, number: u64, at_ms: i64) {
        let Some(tombstone) = self.in_force.remove(&number) else {
            return;
        };

        let ended = Tombstone {
            gone_ms: Some(at_ms),
            ..Tombstone::clone(&tombstone)
        };

        self.gone.insert(number, Arc::new(ended));
        while self.gone.len() > GONE_MAX {
            self.gone.pop_first();
        }

        // What is exempt from deletions that are all over needs no note.
        let first = self.in_force.keys().next().copied().unwrap_or(u64::MAX);
        self.exempt.retain(|_, through| *through >= first);
    }
}
