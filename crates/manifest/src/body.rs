//! The outer form of the bodies of a manifest: JSON in one frame of zstd.
//!
//! Nothing is believed about the length of the text: it is unpacked up to a limit.

use std::io::Read;

use duramen_bucket::Error as BucketError;
use object_store::path::Path;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zstd::stream::read::Decoder;

use crate::{Error, VERSION};

/// The longest text of one body. A writer refuses to make a longer one, and a reader to unpack it.
/// Decoding takes at most some 30 times as much memory, for a body that was made to do so.
pub const TEXT_BYTES_MAX: usize = 16 << 20;

/// A higher level makes bodies larger: most of what is left are random digits.
const LEVEL: i32 = 1;

/// The largest window of a frame, as a power of two: 8 MiB.
const WINDOW_LOG_MAX: u32 = 23;

/// The first bytes of a frame of zstd.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The versions that the parts of a body ask for. Every version can read them.
#[derive(Deserialize)]
struct Versions {
    #[serde(default)]
    reader_version_min: u64,
    #[serde(default)]
    edits: Vec<EditVersions>,
}

#[derive(Deserialize)]
struct EditVersions {
    #[serde(default)]
    reader_version_min: u64,
}

/// Encodes the body of the object `key`.
pub(crate) fn encode<T: Serialize>(key: &Path, body: &T) -> Result<Vec<u8>, Error> {
    let text = serde_json::to_vec(body).expect("plain values have JSON");

    if text.len() > TEXT_BYTES_MAX {
        return Err(BucketError::TooLarge {
            key: key.to_string(),
            bytes: text.len() as u64,
            bytes_max: TEXT_BYTES_MAX as u64,
        }
        .into());
    }

    Ok(zstd::bulk::compress(&text, LEVEL).expect("a compressor needs only memory"))
}

/// Decodes the body of the object `key`. `needed` returns the version that a decoded body asks for.
pub(crate) fn decode<T: DeserializeOwned>(
    key: &Path,
    body: &[u8],
    needed: impl Fn(&T) -> u64,
) -> Result<T, Error> {
    let text = unpack(key, body)?;
    let decoded = serde_json::from_slice(&text);

    // What this version cannot decode may be what a later one has added.
    let needed = match &decoded {
        Ok(body) => needed(body),
        Err(_) => needed_by_text(&text),
    };

    if needed > VERSION {
        return Err(Error::Version {
            key: key.to_string(),
            needed,
        });
    }

    decoded.map_err(|error| corrupt(key, error.to_string()))
}

/// Returns the version that a text asks for; 0 if it does not ask.
fn needed_by_text(text: &[u8]) -> u64 {
    serde_json::from_slice::<Versions>(text).map_or(0, |versions| {
        let of_edits = versions.edits.iter().map(|edit| edit.reader_version_min);
        of_edits.fold(versions.reader_version_min, u64::max)
    })
}

fn unpack(key: &Path, body: &[u8]) -> Result<Vec<u8>, Error> {
    if body.first() == Some(&b'{') {
        return Err(Error::Format {
            key: key.to_string(),
            found: 0,
        });
    }

    if !body.starts_with(&ZSTD_MAGIC) {
        return Err(corrupt(key, "the body is not a frame of zstd"));
    }

    let damaged = |error: std::io::Error| corrupt(key, error.to_string());
    let mut decoder = Decoder::with_buffer(body).map_err(damaged)?.single_frame();
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(damaged)?;

    let mut text = Vec::new();
    let limit = TEXT_BYTES_MAX as u64 + 1;
    decoder
        .by_ref()
        .take(limit)
        .read_to_end(&mut text)
        .map_err(damaged)?;

    if text.len() > TEXT_BYTES_MAX {
        return Err(corrupt(
            key,
            format!("the body unpacks to more than {TEXT_BYTES_MAX} bytes"),
        ));
    }

    if !decoder.finish().is_empty() {
        return Err(corrupt(key, "bytes follow the body"));
    }

    Ok(text)
}

pub(crate) fn corrupt(key: &Path, fault: impl Into<String>) -> Error {
    Error::Corrupt {
        key: key.to_string(),
        fault: fault.into(),
    }
}
