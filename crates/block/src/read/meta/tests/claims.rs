//! A hostile writer: pages claim what they do not have. `meta` is true to the bytes, and all
//! checksums hold.

use bytes::Bytes;

use super::blocks::{Written, random};
use super::lies::{read, sign};
use crate::layout::file_names::SAMPLES_FILE;
use crate::layout::meta::{Described, encode};

/// The largest number that a header can have.
const LARGEST: u64 = (1 << 31) - 1;

/// What a page lies about.
#[derive(Clone, Copy, Debug)]
enum Claim {
    Bytes(u64),
    StoredBytes(u64),
    Values(u64),
}

/// Takes a varint off the front of `input`.
fn skip_varint(input: &mut &[u8]) {
    let length = input.iter().position(|byte| *byte < 0x80).unwrap() + 1;
    *input = &input[length..];
}

/// Returns `page` with another number in its header. The fields are in the order in which the
/// library writes them: type, bytes, stored bytes, a struct whose first field is the values.
fn claiming(page: &[u8], claim: Claim) -> Vec<u8> {
    let (field, number) = match claim {
        Claim::Bytes(number) => (1, number),
        Claim::StoredBytes(number) => (2, number),
        Claim::Values(number) => (3, number),
    };

    let mut rest = page;

    for at in 0..=field {
        let wire = rest[0] & 0xf;
        rest = &rest[1..];

        if at == 3 {
            assert_eq!((wire, rest[0]), (0xc, 0x15));
            rest = &rest[1..];
        }
        if at < field {
            skip_varint(&mut rest);
        }
    }

    let mut claiming = page[..page.len() - rest.len()].to_vec();
    let mut left = number << 1;

    while left >= 0x80 {
        claiming.push(left.to_le_bytes()[0] | 0x80);
        left >>= 7;
    }

    claiming.push(left.to_le_bytes()[0]);
    skip_varint(&mut rest);
    claiming.extend_from_slice(rest);
    claiming
}

/// Every page and dictionary of a file: its number among the pages if it is one, and its bytes.
fn pages(described: &Described) -> Vec<(usize, Option<usize>, std::ops::Range<usize>)> {
    let mut all = Vec::new();
    let mut number = 0;

    for (index, (start, chunk, pages)) in described.pages.chunks().enumerate() {
        let mut at = usize::try_from(start).unwrap();
        let dictionary = chunk.dictionary_bytes as usize;

        if dictionary > 0 {
            all.push((index, None, at..at + dictionary));
            at += dictionary;
        }

        for page in pages {
            all.push((index, Some(number), at..at + page.bytes as usize));
            at += page.bytes as usize;
            number += 1;
        }
    }

    all
}

/// Returns the block with a page that claims something, and the offset of the page.
fn with_claim(written: &Written, file: usize, page: usize, claim: Claim) -> (Written, usize) {
    let mut meta = written.meta();
    let described = &mut meta.files[file];
    let (chunk, number, place) = pages(described).remove(page);

    let bytes = written.file(&described.file.name);
    let claiming = claiming(&bytes[place.clone()], claim);
    let length = u32::try_from(claiming.len()).unwrap();
    let bytes = [&bytes[..place.start], &claiming, &bytes[place.end..]].concat();

    match number {
        Some(number) => described.pages.pages[number].bytes = length,
        None => described.pages.chunks[chunk].dictionary_bytes = length,
    }

    described.file.bytes = bytes.len() as u64;

    let mut stats = written.stats.clone();
    stats.files[file].bytes = bytes.len() as u64;

    let mut files = written.files.clone();
    files[file].1 = Bytes::from(bytes);

    let mut hostile = Written { stats, files };
    sign(&hostile, &mut meta.files[file]);

    let meta = encode::encode(&meta).unwrap();
    hostile.files.last_mut().unwrap().1 = Bytes::from(meta);
    (hostile, place.start)
}

/// Returns the block with the fewest pages among those that have all files.
fn small() -> Written {
    let all = (0..16)
        .map(random)
        .filter(|written| written.files.len() == 6);
    let pages = |written: &Written| -> usize {
        let files = written.meta().files;
        files.iter().map(|file| pages(file).len()).sum()
    };

    all.min_by_key(pages).unwrap()
}

#[tokio::test]
async fn a_page_that_claims_more_than_it_can_have_is_refused_by_name_and_offset() {
    let claims = [
        Claim::Bytes(LARGEST),
        Claim::Bytes((64 << 20) + 1),
        Claim::StoredBytes(LARGEST),
        Claim::StoredBytes(0),
        Claim::Values(LARGEST),
        Claim::Values((4 << 20) + 1),
    ];

    let written = small();
    let mut refused = 0;
    let mut unread = 0;

    for (file, described) in written.meta().files.iter().enumerate() {
        let name = &described.file.name;
        let pages = if name == SAMPLES_FILE {
            0
        } else {
            pages(described).len()
        };

        for (page, claim) in (0..pages).flat_map(|page| claims.map(|claim| (page, claim))) {
            let (hostile, offset) = with_claim(&written, file, page, claim);
            let meta = hostile.meta_bytes().to_vec();
            let (store, stats) = hostile.with_meta(meta).await;

            // Nobody reads the pages of `sref`.
            let Err(error) = read(store, &stats).await else {
                unread += 1;
                continue;
            };

            let place = format!("{name}`, offset=`{offset}`");
            assert!(error.contains(&place), "{claim:?} {place}: {error}");
            assert!(error.contains("malformed"), "{claim:?} {place}: {error}");
            refused += 1;
        }
    }

    println!("{refused} refused, {unread} not read");
    assert!(refused > 10 * unread, "{refused} {unread}");
}
