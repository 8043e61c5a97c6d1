//! Damaged forms of `meta`. None of them makes a panic or takes much memory.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::blocks::random;
use crate::layout::meta::Meta;
use crate::layout::meta::decode::{decode, decode_body};
use crate::read::rebuilt::parquet_metadata;

/// The magic bytes and the two lengths before the body.
const HEAD_BYTES: usize = 16;

/// Uses what was decoded. Returns whether there is anything.
fn survive(decoded: Result<Meta, &'static str>) -> bool {
    let Ok(meta) = decoded else {
        return false;
    };

    for described in &meta.files {
        _ = parquet_metadata(described);
        let extents = &described.file.extents;

        if extents.len() > 0 {
            assert_eq!(extents.range(extents.len() - 1).end, described.file.bytes);
        }
    }

    true
}

/// Returns the unpacked body of `meta` and the checksums behind it.
fn open(meta: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let length = |at: usize| u32::from_le_bytes(meta[at..at + 4].try_into().unwrap()) as usize;
    let (packed, checksums) = meta[HEAD_BYTES..].split_at(length(12));
    let body = zstd::bulk::decompress(packed, length(8)).unwrap();

    (body, checksums.to_vec())
}

/// Packs a body, as a hostile writer would.
fn pack(body: &[u8], checksums: &[u8]) -> Vec<u8> {
    let packed = zstd::bulk::compress(body, 1).unwrap();
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();

    [
        b"DURAMEN1".as_slice(),
        &length(body),
        &length(&packed),
        &packed,
        checksums,
    ]
    .concat()
}

#[test]
fn each_cut_is_refused_and_each_flipped_byte_is_survived() {
    for seed in 0..2 {
        let written = random(seed);
        let good = written.meta_bytes();
        assert!(survive(decode(good)));

        for cut in 0..good.len() {
            assert!(!survive(decode(&good[..cut])), "{seed} {cut}");
        }

        for i in 0..good.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bad = good.to_vec();
                bad[i] ^= flip;
                survive(decode(&bad));
            }
        }

        assert!(!survive(decode(&[good, b"x"].concat())));
    }
}

#[test]
fn a_body_that_lies_is_survived() {
    let mut decoded = 0;

    for seed in 0..2 {
        let written = random(seed);
        let (body, checksums) = open(written.meta_bytes());
        let other = open(random(seed + 1).meta_bytes()).0;
        let mut random = StdRng::seed_from_u64(seed);

        assert!(survive(decode_body(&body, &checksums)));

        // A body may end before the fences.
        let cuts = (0..body.len()).filter(|cut| survive(decode_body(&body[..*cut], &checksums)));
        assert_eq!(cuts.count(), 1, "{seed}");

        for i in 0..body.len() {
            for byte in [0, 0x7f, 0xff, body[i] ^ 1] {
                let mut bad = body.clone();
                bad[i] = byte;
                decoded += u32::from(survive(decode_body(&bad, &checksums)));
            }
        }

        for _ in 0..500 {
            let mut bad = body.clone();
            let start = random.random_range(0..bad.len());
            let end = random.random_range(start..bad.len().min(start + 40));
            let from = random.random_range(0..other.len());
            let until = random.random_range(from..other.len().min(from + 40));

            bad.splice(start..end, other[from..until].iter().copied());
            decoded += u32::from(survive(decode_body(&bad, &checksums)));
        }
    }

    assert!(decoded > 300, "{decoded}");
}

#[test]
fn other_versions_are_named() {
    let good = random(1);

    for (magic, message) in [
        (
            b"DURAMENb",
            "block format 0 is not supported; this version reads format 1",
        ),
        (
            b"DURAMEN2",
            "the block has a later format; this version reads format 1",
        ),
        (
            b"PAR1PAR1",
            "meta does not begin with the magic bytes of a block",
        ),
    ] {
        let mut bytes = good.meta_bytes().to_vec();
        bytes[..8].copy_from_slice(magic);
        assert_eq!(decode(&bytes).unwrap_err(), message);
    }
}

#[test]
fn an_optional_section_is_skipped_and_a_required_one_is_refused() {
    let written = random(1);
    let (body, checksums) = open(written.meta_bytes());
    let with = |kind: u8| pack(&[body.as_slice(), &[kind, 3, 1, 2, 3]].concat(), &checksums);

    assert_eq!(decode(&with(0x70)).unwrap(), written.meta());
    assert_eq!(
        decode(&with(0xf0)).unwrap_err(),
        "meta has a section that this version does not know but must"
    );
}

#[test]
fn claims_take_no_memory() {
    // A body of 4 GiB, and one of 64 MiB that is a bomb of a few kilobytes.
    let mut claim = pack(&[0; 16], &[]);
    claim[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(decode(&claim).unwrap_err(), "the body of meta is too long");

    assert!(decode(&pack(&vec![0; 64 << 20], &[])).is_err());

    // A file of a billion row groups, and one of a billion pages, both without bytes.
    let varint = |mut value: u64| {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }

        bytes.push(value.to_le_bytes()[0]);
        bytes
    };

    let file = |groups: u64, lists: &[u8]| {
        let mut section = [&[1, 1, b'x'][..], &varint(1 << 40), &[1]].concat();
        section.extend(varint(groups));
        section.extend(lists);

        let mut body = vec![0x81];
        body.extend(varint(section.len() as u64));
        body.extend(section);
        decode(&pack(&body, &[])).unwrap_err()
    };

    assert_eq!(
        file(1_000_000_000, &[0; 64]),
        "the row groups of a file in meta"
    );

    // One row group of 2^32 - 1 rows with 2^30 pages.
    let rows = [4, 0xff, 0xff, 0xff, 0xff];
    let pages = [4, 0, 0, 0, 0x40];
    let lists = [&rows[..], &pages, &[0, 0, 0, 0]].concat();
    assert_eq!(file(1, &lists), "meta has too many pages");
}
