//! The bytes of `meta`: what a reader must know before it can read any other file.
//!
//! ```text
//! meta      = magic (8) body_bytes (u32) zstd(body)
//! body      = file_count (u32) file*
//! file      = name_bytes (u8) name size (u64) extent_count (u32) extent_bytes (u32)* crc32c (u32)* tail_bytes (u32) tail
//! ```
//! Integers are little-endian. `tail` is the end of the file, verbatim: the page indexes, the
//! Parquet footer, its length, `PAR1`.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use bytes::Bytes;

use crate::layout::extent::Extents;

const MAGIC: &[u8; 8] = b"DURAMENb";
/// The largest body. No writer makes a block that needs more to be described.
const BODY_BYTES_MAX: u32 = 1 << 30;

/// One file as `meta` describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileMeta {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) extents: Extents,
    pub(crate) tail: Bytes,
}

/// Returns the bytes of `meta` for `files`.
pub(crate) fn encode(files: &[FileMeta]) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    put_u32(&mut body, files.len());

    for file in files {
        body.push(u8::try_from(file.name.len()).unwrap_or(u8::MAX));
        body.extend_from_slice(file.name.as_bytes());
        body.extend_from_slice(&file.bytes.to_le_bytes());
        put_u32(&mut body, file.extents.len());

        for i in 0..file.extents.len() {
            let range = file.extents.range(i);
            put_u32(
                &mut body,
                usize::try_from(range.end - range.start).unwrap_or(usize::MAX),
            );
        }

        for i in 0..file.extents.len() {
            body.extend_from_slice(&file.extents.checksum(i).to_le_bytes());
        }

        put_u32(&mut body, file.tail.len());
        body.extend_from_slice(&file.tail);
    }

    let mut out = MAGIC.to_vec();
    put_u32(&mut out, body.len());
    out.extend_from_slice(&zstd::bulk::compress(&body, 9)?);

    Ok(out)
}

/// # Panics
/// If `value` does not fit into 32 bits. The limits of the writer keep every length below that.
fn put_u32(out: &mut Vec<u8>, value: usize) {
    let value = u32::try_from(value).expect("lengths in meta fit 32 bits");
    out.extend_from_slice(&value.to_le_bytes());
}

/// Decodes what [`encode`] made. It trusts nothing in `bytes`. The error says what is wrong.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<FileMeta>, &'static str> {
    let mut rest = bytes;
    if take(&mut rest, MAGIC.len()) != Some(MAGIC.as_slice()) {
        return Err("no magic bytes of a known version");
    }

    let length = take_u32(&mut rest)
        .filter(|length| *length <= BODY_BYTES_MAX)
        .ok_or("body length")?;
    let body = zstd::bulk::decompress(rest, length as usize).map_err(|_| "zstd frame")?;

    if body.len() != length as usize {
        return Err("body length differs");
    }

    let body = Bytes::from(body);
    let mut rest = &*body;
    let count = take_u32(&mut rest).ok_or("file count")?;
    let mut files = Vec::new();

    for _ in 0..count {
        files.push(take_file(&body, &mut rest).ok_or("file entry")?);
    }

    if rest.is_empty() {
        Ok(files)
    } else {
        Err("bytes behind the last file")
    }
}

fn take_file(body: &Bytes, rest: &mut &[u8]) -> Option<FileMeta> {
    let name_bytes = *take(rest, 1)?.first()?;
    let name = std::str::from_utf8(take(rest, usize::from(name_bytes))?)
        .ok()?
        .to_owned();
    let bytes = u64::from_le_bytes(take(rest, 8)?.try_into().ok()?);
    let count = take_u32(rest)? as usize;
    let lengths = words(take(rest, count.checked_mul(4)?)?);
    let checksums = words(take(rest, count.checked_mul(4)?)?).collect();
    let extents = Extents::from_parts(lengths, checksums, bytes)?;
    let tail_bytes = take_u32(rest)? as usize;
    let tail = body.slice_ref(take(rest, tail_bytes)?);

    (tail.len() as u64 <= bytes).then_some(FileMeta {
        name,
        bytes,
        extents,
        tail,
    })
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|word| u32::from_le_bytes(*word))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(taken)
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    take(rest, 4)?.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<FileMeta> {
        let extents = Extents::cut(&mut std::io::repeat(7), 10_000, &[4, 5000]).unwrap();
        vec![FileMeta {
            name: "a".into(),
            bytes: 10_000,
            extents,
            tail: Bytes::from_static(b"tail"),
        }]
    }

    #[test]
    fn meta_survives_the_round_trip() {
        assert_eq!(decode(&encode(&files()).unwrap()).unwrap(), files());
    }

    #[test]
    fn meta_that_was_cut_or_changed_is_refused_or_equal_and_never_panics() {
        let good = encode(&files()).unwrap();
        for cut in 0..good.len() {
            assert!(decode(&good[..cut]).is_err(), "{cut}");
        }

        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 0x10;
            _ = decode(&bad);
        }
    }
}
