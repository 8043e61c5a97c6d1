//! The JSON bodies of the objects of a manifest: a chain of [`Tail`]s, the snapshots that they build
//! on, and the [`Boundary`], a hint that saves a listing of the chain.
//!
//! The sequence of an object is the number of edits up to it and including it.
//! `docs/formats/manifest.md` describes the objects with an example.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use duramen_bucket::WriterIdentity;
use duramen_model::BlockEntry;
use object_store::path::Path;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::change::replace::check_entry;
use crate::edit::{Edit, is_zero};
use crate::flushed::Flushed;
use crate::state::Process;
use crate::{Error, State, VERSION};

/// The snapshot that edits build on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// How many edits the snapshot includes.
    pub sequence: u64,
    /// The key of the snapshot.
    pub key: String,
}

/// The body of one object of the chain. It repeats all edits since its base, so it is enough to
/// read the newest object and its base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// The body of a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Snapshot {
    #[serde(default, skip_serializing_if = "is_zero")]
    reader_version_min: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    writer_version_min: u64,
    sequence: u64,
    blocks: Vec<Arc<BlockEntry>>,
    flushed: Vec<Flushed>,
    epochs: Vec<WriterIdentity>,
    /// The keys of the parts: objects with the blocks that do not fit here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<String>,
}

/// The body of a part of a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Part {
    blocks: Vec<Arc<BlockEntry>>,
}

/// The body of the boundary object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boundary {
    /// There is an object with this sequence. The newest object has this sequence or a higher one.
    pub sequence: u64,
}

/// The fields of a body that every version can read.
#[derive(Deserialize)]
struct Versions {
    #[serde(default)]
    reader_version_min: u64,
}

pub(crate) fn encode<T: Serialize>(body: &T) -> Vec<u8> {
    serde_json::to_vec(body).expect("plain values have JSON")
}

fn decode<T: DeserializeOwned>(key: &Path, body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|e| Error::Corrupt {
        key: key.to_string(),
        fault: e.to_string(),
    })
}

/// Fails if a body needs a later version than this one, which may not understand the rest of the
/// body. Called before a body is decoded as a whole.
fn check_versions(key: &Path, body: &[u8]) -> Result<(), Error> {
    let needed = decode::<Versions>(key, body)?.reader_version_min;

    if needed > VERSION {
        Err(Error::Version {
            key: key.to_string(),
            needed,
        })
    } else {
        Ok(())
    }
}

impl Tail {
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes the object of `sequence`.
    pub fn decode(key: &Path, sequence: u64, body: &[u8]) -> Result<Self, Error> {
        check_versions(key, body)?;

        let tail: Self = decode(key, body)?;
        let needed = tail
            .edits
            .iter()
            .map(|edit| edit.reader_version_min)
            .max()
            .unwrap_or(0);

        if needed > VERSION {
            return Err(Error::Version {
                key: key.to_string(),
                needed,
            });
        }

        let base = tail.base_sequence();
        if tail.edits.is_empty() || base.checked_add(tail.edits.len() as u64) != Some(sequence) {
            return Err(Error::Corrupt {
                key: key.to_string(),
                fault: "wrong number of edits for its sequence".to_owned(),
            });
        }

        Ok(tail)
    }

    /// The sequence of the base.
    pub fn base_sequence(&self) -> u64 {
        self.base.as_ref().map_or(0, |base| base.sequence)
    }
}

/// The bodies of the objects of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotBodies {
    /// The body of the first object, which the edits name. It names the others.
    pub first: Vec<u8>,
    pub parts: Vec<Vec<u8>>,
}

/// The lowest version that reads a snapshot of several objects. Version 0 does not know `parts` and
/// would take the first object for the whole.
const PARTS_VERSION: u64 = 1;

/// Encodes the snapshot of `state` in bodies with about `bytes_max` of blocks each; a body with a
/// single block may be larger. `key_of` returns the key of a part, counted from 0.
pub fn encode_snapshot(
    state: &State,
    bytes_max: usize,
    key_of: impl Fn(usize) -> Path,
) -> SnapshotBodies {
    let mut groups = split(state, bytes_max).into_iter();
    let blocks = groups.next().unwrap_or_default();
    let parts: Vec<Vec<u8>> = groups.map(|blocks| encode(&Part { blocks })).collect();
    let keys: Vec<String> = (0..parts.len())
        .map(|part| key_of(part).to_string())
        .collect();

    let first = encode(&Snapshot {
        reader_version_min: if keys.is_empty() { 0 } else { PARTS_VERSION },
        writer_version_min: state.writer_version_min,
        sequence: state.sequence,
        blocks,
        flushed: state.flushed.values().copied().collect(),
        epochs: state
            .epochs
            .iter()
            .map(|(&writer, process)| process.of(writer))
            .collect(),
        parts: keys,
    });

    SnapshotBodies { first, parts }
}

/// Splits the blocks into groups. Each has about `bytes_max` in JSON, or a single block.
fn split(state: &State, bytes_max: usize) -> Vec<Vec<Arc<BlockEntry>>> {
    let mut groups: Vec<Vec<Arc<BlockEntry>>> = Vec::new();
    let mut room = 0;

    for entry in state.blocks.values() {
        let bytes = encode(entry).len() + 1;
        if groups.is_empty() || room < bytes {
            groups.push(Vec::new());
            room = bytes_max;
        }

        room = room.saturating_sub(bytes);
        groups
            .last_mut()
            .expect("one was pushed")
            .push(Arc::clone(entry));
    }

    groups
}

/// Returns the keys of the further parts of a snapshot. `body` is that of its first object.
pub fn snapshot_parts(key: &Path, body: &[u8]) -> Result<Vec<String>, Error> {
    check_versions(key, body)?;
    Ok(decode::<Snapshot>(key, body)?.parts)
}

/// Decodes the snapshot of `sequence`, from the body of its first object and those of its parts, in
/// order.
pub fn decode_snapshot(
    key: &Path,
    sequence: u64,
    body: &[u8],
    parts: &[(Path, Bytes)],
) -> Result<State, Error> {
    let corrupt = |fault: String| Error::Corrupt {
        key: key.to_string(),
        fault,
    };

    check_versions(key, body)?;

    let snapshot: Snapshot = decode(key, body)?;
    if snapshot.sequence != sequence {
        return Err(corrupt(format!(
            "the snapshot is that of another sequence. expected=`{sequence}`, actual=`{}`",
            snapshot.sequence
        )));
    }

    if snapshot.parts.len() != parts.len() {
        return Err(corrupt("a part of the snapshot is missing".to_owned()));
    }

    let mut all = snapshot.blocks;
    for (key, body) in parts {
        all.extend(decode::<Part>(key, body)?.blocks);
    }

    for entry in &all {
        check_entry(entry).map_err(|violation| corrupt(violation.to_string()))?;
    }

    let count = all.len();
    let blocks: BTreeMap<_, _> = all.into_iter().map(|entry| (entry.id, entry)).collect();

    if blocks.len() != count {
        return Err(corrupt("a block is named twice".to_owned()));
    }

    Ok(State {
        sequence,
        blocks,
        flushed: snapshot
            .flushed
            .into_iter()
            .map(|flushed| (flushed.writer, flushed))
            .collect(),
        epochs: snapshot
            .epochs
            .into_iter()
            .map(|identity| (identity.writer, Process::from(identity)))
            .collect(),
        writer_version_min: snapshot.writer_version_min,
    })
}

impl Boundary {
    pub(crate) fn encode(self) -> Vec<u8> {
        encode(&self)
    }

    /// Decodes a hint. Returns `None` if it cannot be read, because a hint is not needed.
    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}
