//! The objects of a manifest: `docs/formats/manifest.md` has the same with an example.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_bucket::WriterIdentity;
use duramen_model::BlockEntry;
use object_store::path::Path;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::edit::{Edit, Flushed, is_zero};
use crate::state::{Process, check_entry};
use crate::{Error, State, VERSION};

/// Where edits build on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The edits that the snapshot holds.
    pub sequence: u64,
    /// The key of the snapshot.
    pub key: String,
}

/// The body of one object of the chain: everything that happened since its base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// The lowest version that may read this object.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reader_version_min: u64,
    /// `None`: the edits are all that ever happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// Oldest first; the last is the object's own.
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
}

/// The body of the boundary object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boundary {
    /// An object of the chain that exists; the newest is this one or behind it.
    pub sequence: u64,
}

/// What every version can read of a body.
#[derive(Deserialize)]
struct Versions {
    #[serde(default)]
    reader_version_min: u64,
}

pub(crate) fn encode<T: Serialize>(body: &T) -> Vec<u8> {
    serde_json::to_vec(body).expect("plain values have JSON")
}

fn decode<T: DeserializeOwned>(key: &Path, body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|e| Error::Corrupt { key: key.to_string(), fault: e.to_string() })
}

/// The versions first: what a later version means by the rest is not ours to judge.
fn check_versions(key: &Path, body: &[u8]) -> Result<(), Error> {
    let needed = decode::<Versions>(key, body)?.reader_version_min;
    if needed > VERSION { Err(Error::Version { key: key.to_string(), needed }) } else { Ok(()) }
}

impl Tail {
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads the object of `sequence`.
    pub fn decode(key: &Path, sequence: u64, body: &[u8]) -> Result<Self, Error> {
        check_versions(key, body)?;
        let tail: Self = decode(key, body)?;
        let needed = tail.edits.iter().map(|edit| edit.reader_version_min).max().unwrap_or(0);
        if needed > VERSION {
            return Err(Error::Version { key: key.to_string(), needed });
        }
        let base = tail.base.as_ref().map_or(0, |base| base.sequence);
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

/// The body of the snapshot of `state`.
pub fn encode_snapshot(state: &State) -> Vec<u8> {
    encode(&Snapshot {
        reader_version_min: 0,
        writer_version_min: state.writer_version_min,
        sequence: state.sequence,
        blocks: state.blocks.values().cloned().collect(),
        flushed: state.flushed.values().copied().collect(),
        epochs: state.epochs.iter().map(|(&writer, process)| process.of(writer)).collect(),
    })
}

/// Reads the snapshot of `sequence`.
pub fn decode_snapshot(key: &Path, sequence: u64, body: &[u8]) -> Result<State, Error> {
    let corrupt = |fault: String| Error::Corrupt { key: key.to_string(), fault };
    check_versions(key, body)?;
    let snapshot: Snapshot = decode(key, body)?;
    if snapshot.sequence != sequence {
        return Err(corrupt(format!(
            "the snapshot is that of another sequence. expected=`{sequence}`, actual=`{}`",
            snapshot.sequence
        )));
    }
    for entry in &snapshot.blocks {
        check_entry(entry).map_err(|violation| corrupt(violation.to_string()))?;
    }
    let count = snapshot.blocks.len();
    let blocks: BTreeMap<_, _> = snapshot.blocks.into_iter().map(|entry| (entry.id, entry)).collect();
    if blocks.len() != count {
        return Err(corrupt("a block is named twice".to_owned()));
    }
    Ok(State {
        sequence,
        blocks,
        flushed: snapshot.flushed.into_iter().map(|flushed| (flushed.writer, flushed)).collect(),
        epochs: snapshot.epochs.into_iter().map(|identity| (identity.writer, Process::from(identity))).collect(),
        writer_version_min: snapshot.writer_version_min,
    })
}

impl Boundary {
    pub(crate) fn encode(self) -> Vec<u8> {
        encode(&self)
    }

    /// A hint that cannot be read is no hint.
    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}
