//! The bodies of the objects of a manifest: a chain of [`Tail`]s, the snapshots that they build on,
//! and the [`Boundary`], a hint that saves a listing of the chain.
//!
//! The sequence of an object is the number of edits up to it and including it.
//! `docs/formats/manifest.md` describes the objects with an example.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duramen_bucket::WriterIdentity;
use duramen_model::{BlockEntry, BlockId};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::body::{self, corrupt};
use crate::change::{quarantine, snapshots};
use crate::edit::Edit;
use crate::flushed::{Flushed, is_zero};
use crate::state::{BLOCKS_MAX, Origin, Process, QUARANTINED_MAX, SNAPSHOTS_MAX};
use crate::stored::StoredDeletions;
use crate::table::{self, Table};
use crate::{Error, State, entry, siblings};

/// The snapshot that edits build on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// How many edits the snapshot includes.
    pub sequence: u64,
    /// The key of the snapshot.
    pub key: String,
}

/// The body of one object of the chain. It repeats all edits since its base, so it is enough to
/// read the newest object and its base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tail {
    /// The lowest version that may read this object.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reader_version_min: u64,
    /// The snapshot, or `None` if `edits` are all edits from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// Oldest first. The last one is the edit of this object.
    pub edits: Vec<Arc<Edit>>,
}

/// The body of the first object of a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    #[serde(default, skip_serializing_if = "is_zero")]
    reader_version_min: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    writer_version_min: u64,
    sequence: u64,
    flushed: Vec<Flushed>,
    epochs: Vec<WriterIdentity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    horizon: Option<BlockId>,
    /// Live blocks that are damaged, and what was found.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    quarantine: BTreeMap<BlockId, String>,
    #[serde(default, skip_serializing_if = "StoredDeletions::is_empty")]
    deletions: StoredDeletions,
    /// The named snapshots.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    snapshots: BTreeMap<String, u64>,
    /// Where a clone began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    /// The keys of the parts: objects with the blocks that do not fit here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<String>,
    blocks: Table,
}

/// The body of a part of a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    #[serde(default, skip_serializing_if = "is_zero")]
    reader_version_min: u64,
    blocks: Table,
}

/// The body of the boundary object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boundary {
    /// There is an object with this sequence. The newest object has this sequence or a higher one.
    pub sequence: u64,
}

impl Tail {
    /// Encodes the body of the object `key`.
    ///
    /// # Errors
    /// The body is too large for readers.
    pub fn encode(&self, key: &Path) -> Result<Vec<u8>, Error> {
        body::encode(key, self)
    }

    /// Decodes the object of `sequence`.
    pub fn decode(key: &Path, sequence: u64, body: &[u8]) -> Result<Self, Error> {
        let tail: Self = body::decode(key, body, Self::needed)?;
        let base = tail.base_sequence();

        if tail.edits.is_empty() || base.checked_add(tail.edits.len() as u64) != Some(sequence) {
            return Err(corrupt(key, "wrong number of edits for its sequence"));
        }

        if !tail.edits.iter().all(|edit| edit.asks_enough()) {
            return Err(corrupt(
                key,
                "an edit does not ask for the version of its changes",
            ));
        }

        Ok(tail)
    }

    /// The lowest version that understands all of it.
    fn needed(&self) -> u64 {
        let of_edits = self.edits.iter().map(|edit| edit.reader_version_min);
        of_edits.fold(self.reader_version_min, u64::max)
    }

    /// The sequence of the base.
    pub fn base_sequence(&self) -> u64 {
        self.base.as_ref().map_or(0, |base| base.sequence)
    }
}

/// The bodies of the objects of a snapshot, with their keys.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotBodies {
    /// The object that the edits name. It names the others.
    pub first: (Path, Vec<u8>),
    pub parts: Vec<(Path, Vec<u8>)>,
}

/// The most parts of a snapshot.
pub const PARTS_MAX: usize = 1_000;

/// Encodes the snapshot of `state` in bodies with about `bytes_max` of entries each, as text; a
/// body with a single block may be larger. `part_key` returns the key of a part, counted from 0.
///
/// # Errors
/// A body is too large for readers.
pub fn encode_snapshot(
    state: &State,
    bytes_max: usize,
    key: Path,
    part_key: impl Fn(usize) -> Path,
) -> Result<SnapshotBodies, Error> {
    let mut groups = split(state, bytes_max).into_iter();
    let blocks = Table::of(groups.next().unwrap_or_default());

    let parts = groups.enumerate().map(|(part, blocks)| {
        let key = part_key(part);
        let part = Part {
            reader_version_min: 0,
            blocks: Table::of(blocks),
        };

        let body = body::encode(&key, &part)?;
        Ok((key, body))
    });

    let parts = parts.collect::<Result<Vec<_>, Error>>()?;

    let first = First {
        reader_version_min: state.reader_version_min(),
        writer_version_min: state.writer_version_min,
        sequence: state.sequence,
        flushed: state.flushed.values().copied().collect(),
        epochs: state
            .epochs
            .iter()
            .map(|(&writer, process)| process.of(writer))
            .collect(),
        horizon: state.horizon,
        quarantine: state.quarantined.clone(),
        deletions: StoredDeletions::of(&state.deletions),
        snapshots: state.snapshots.clone(),
        origin: state.origin,
        parts: parts.iter().map(|(key, _)| key.to_string()).collect(),
        blocks,
    };

    let body = body::encode(&key, &first)?;
    Ok(SnapshotBodies {
        first: (key, body),
        parts,
    })
}

/// Splits the blocks into groups. Each has about `bytes_max` as text, or a single block.
fn split(state: &State, bytes_max: usize) -> Vec<Vec<&Arc<BlockEntry>>> {
    let mut groups: Vec<Vec<&Arc<BlockEntry>>> = Vec::new();
    let mut room = 0;

    for entry in state.blocks.values() {
        let bytes = table::text_bytes(entry);
        if groups.is_empty() || room < bytes {
            groups.push(Vec::new());
            room = bytes_max;
        }

        room = room.saturating_sub(bytes);
        groups.last_mut().expect("one was pushed").push(entry);
    }

    groups
}

/// A snapshot that is being read, object by object.
#[derive(Debug)]
pub struct SnapshotReader {
    key: Path,
    state: State,
    /// The keys of the parts that are still to be read, the last one first.
    parts: Vec<String>,
}

impl SnapshotReader {
    /// Decodes the first object of the snapshot of `sequence`.
    pub fn open(key: &Path, sequence: u64, body: &[u8]) -> Result<Self, Error> {
        let first: First = body::decode(key, body, |first: &First| first.reader_version_min)?;

        if first.sequence != sequence {
            return Err(corrupt(
                key,
                format!(
                    "the snapshot is that of another sequence. expected=`{sequence}`, actual=`{}`",
                    first.sequence
                ),
            ));
        }

        let distinct: BTreeSet<_> = first.parts.iter().collect();
        if distinct.len() < first.parts.len() || first.parts.len() > PARTS_MAX {
            return Err(corrupt(key, "it has too many parts, or one twice"));
        }

        if first.quarantine.len() > QUARANTINED_MAX {
            return Err(corrupt(key, "it has too many blocks in quarantine"));
        }

        let is_past = |named: &u64| (1..=sequence).contains(named);
        if first.snapshots.len() > SNAPSHOTS_MAX || !first.snapshots.values().all(is_past) {
            return Err(corrupt(
                key,
                "it has too many named snapshots, or one of later",
            ));
        }

        if first
            .origin
            .is_some_and(|origin| origin.sequence > sequence)
        {
            return Err(corrupt(key, "it is of a clone that begins later"));
        }

        for name in first.snapshots.keys() {
            let checked = snapshots::check_name(name);
            checked.map_err(|violation| corrupt(key, violation.to_string()))?;
        }

        let deletions = first.deletions.deletions(sequence);
        let deletions = deletions.map_err(|fault| corrupt(key, fault))?;

        let mut state = State {
            sequence,
            horizon: first.horizon,
            quarantined: first.quarantine,
            deletions: Arc::new(deletions),
            snapshots: first.snapshots,
            origin: first.origin,
            writer_version_min: first.writer_version_min,
            ..State::default()
        };

        let flushed = first.flushed.into_iter();
        state
            .flushed
            .extend(flushed.map(|flushed| (flushed.writer, flushed)));

        let epochs = first.epochs.into_iter();
        state
            .epochs
            .extend(epochs.map(|identity| (identity.writer, Process::from(identity))));

        let mut reader = Self {
            key: key.clone(),
            state,
            parts: first.parts.into_iter().rev().collect(),
        };

        reader.add(key, first.blocks)?;
        Ok(reader)
    }

    /// Returns the keys of the parts that are still to be read, in the order in which they are
    /// read.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().rev().map(String::as_str)
    }

    /// Decodes the next part.
    pub fn read_part(&mut self, key: &Path, body: &[u8]) -> Result<(), Error> {
        let part: Part = body::decode(key, body, |part: &Part| part.reader_version_min)?;

        if self.parts.pop().as_deref() != Some(key.as_ref()) {
            return Err(corrupt(key, "it is not the next part of the snapshot"));
        }

        self.add(key, part.blocks)
    }

    fn add(&mut self, key: &Path, blocks: Table) -> Result<(), Error> {
        let entries = blocks.entries().map_err(|fault| corrupt(key, fault))?;

        if self.state.blocks.len() + entries.len() > BLOCKS_MAX {
            return Err(corrupt(key, "the snapshot has too many blocks"));
        }

        for entry in entries {
            entry::check(&entry).map_err(|violation| corrupt(key, violation.to_string()))?;

            if self.state.blocks.contains_key(&entry.id) {
                return Err(corrupt(key, "a block is named twice"));
            }

            self.state.insert(entry);
        }

        Ok(())
    }

    /// Returns the state, when all parts have been read.
    pub fn finish(self) -> Result<State, Error> {
        if !self.parts.is_empty() {
            return Err(corrupt(&self.key, "a part of the snapshot is missing"));
        }

        for (block, fault) in &self.state.quarantined {
            if !self.state.blocks.contains_key(block) {
                return Err(corrupt(&self.key, "a block in quarantine is not live"));
            }

            quarantine::check_fault(*block, fault)
                .map_err(|violation| corrupt(&self.key, violation.to_string()))?;
        }

        let mut exempt = self.state.deletions.exempt.keys();
        if !exempt.all(|block| self.state.blocks.contains_key(block)) {
            return Err(corrupt(&self.key, "a block that is exempt is not live"));
        }

        siblings::check_all(&self.state)
            .map_err(|violation| corrupt(&self.key, violation.to_string()))?;

        Ok(self.state)
    }
}

impl Boundary {
    pub(crate) fn encode(self) -> Vec<u8> {
        serde_json::to_vec(&self).expect("plain values have JSON")
    }

    /// Decodes a hint. Returns `None` if it cannot be read, because a hint is not needed.
    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}
