//! Damaged and hostile files: an error that names the file, or what was written; never a panic, and
//! no memory for what is merely claimed.

use duramen_model::{ErrorKind, TimeRange};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::round_trip::{read, series};
use crate::written::write;

/// How many times the usual number of mutations is tried.
fn times() -> usize {
    std::env::var("DURAMEN_TORTURE").map_or(1, |times| times.parse().unwrap())
}

#[test]
fn a_flipped_bit_in_what_is_read_is_found() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &series(), 10_000_000, "{}");
    let good = read(folder.path(), TimeRange::ALL).unwrap();
    let mut random = StdRng::seed_from_u64(1);
    let mut found = 0;

    for name in ["index", "chunks/000001"] {
        let path = folder.path().join(name);
        let bytes = std::fs::read(&path).unwrap();

        for _ in 0..300 * times() {
            let mut bad = bytes.clone();
            let at = random.random_range(0..bad.len());
            bad[at] ^= 1 << random.random_range(0..8);
            std::fs::write(&path, &bad).unwrap();

            match read(folder.path(), TimeRange::ALL) {
                // Padding, and sections that are not read.
                Ok(same) => assert_eq!(same, good, "{name} {at}"),
                Err(error) => {
                    let known = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid);
                    assert!(
                        known && error.to_string().contains(name),
                        "{name} {at}: {error}"
                    );
                    found += 1;
                }
            }
        }

        std::fs::write(&path, &bytes).unwrap();
    }

    assert!(found > 500, "{found}");
}

#[test]
fn a_file_that_is_cut_or_gone_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &series(), 10_000_000, "{}");

    for name in ["index", "chunks/000001", "meta.json"] {
        let path = folder.path().join(name);
        let bytes = std::fs::read(&path).unwrap();

        for cut in (0..bytes.len()).step_by(bytes.len() / 50 + 1) {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            assert!(read(folder.path(), TimeRange::ALL).is_err(), "{name} {cut}");
        }

        std::fs::remove_file(&path).unwrap();
        assert!(read(folder.path(), TimeRange::ALL).is_err(), "{name}");
        std::fs::write(&path, &bytes).unwrap();
    }
}

/// Checksums hold here, since whoever lies can calculate them as well.
#[test]
fn lies_with_right_checksums_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &series(), 10_000_000, "{}");
    let path = folder.path().join("index");
    let good = std::fs::read(&path).unwrap();
    let toc = good.len() - 52;
    let at = |section: usize| -> usize {
        let bytes = good[toc + section * 8..toc + section * 8 + 8]
            .try_into()
            .unwrap();
        usize::try_from(u64::from_be_bytes(bytes)).unwrap()
    };
    let symbols = at(0) + 4..at(0) + 4 + good[at(0) + 3] as usize;
    let entry = at(1) + 1..at(1) + 1 + good[at(1)] as usize;
    let mut random = StdRng::seed_from_u64(2);

    for part in [symbols, entry, toc..toc + 48] {
        for _ in 0..400 * times() {
            let mut bad = good.clone();

            for _ in 0..random.random_range(1..4) {
                bad[random.random_range(part.clone())] = random.random();
            }

            let checksum = crc32c::crc32c(&bad[part.clone()]).to_be_bytes();
            bad[part.end..part.end + 4].copy_from_slice(&checksum);
            std::fs::write(&path, &bad).unwrap();

            let _ = read(folder.path(), TimeRange::ALL);
        }
    }
}
