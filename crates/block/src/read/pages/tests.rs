use super::*;
use crate::read::delta::tests::put_signed;

/// A data page of an optional column with `rows` rows. `change` changes the integers of its header:
/// the type, both lengths, the number of values, the encoding, and the encoding of the levels.
fn page(rows: usize, body: &[u8], change: impl FnOnce(&mut [i64; 6])) -> Vec<u8> {
    let stored = zstd::bulk::compress(body, 1).unwrap();
    let mut header = [0, body.len() as i64, stored.len() as i64, rows as i64, 5, 3];
    change(&mut header);
    let [kind, bytes, stored_bytes, values, encoding, levels] = header;

    let mut out = Vec::new();
    for value in [kind, bytes, stored_bytes] {
        out.push(0x15);
        put_signed(&mut out, value);
    }

    out.push(0x2c);
    for value in [values, encoding, levels, 3] {
        out.push(0x15);
        put_signed(&mut out, value);
    }

    out.extend([0, 0]);
    out.extend(stored);
    out
}

fn load(stored: Vec<u8>, rows: usize) -> Result<Pages> {
    let length = i32::try_from(stored.len()).unwrap();
    let file = SparseFile::of(stored.len() as u64, vec![(0, stored.into())]);
    let location = PageLocation {
        offset: 0,
        compressed_page_size: length,
        first_row_index: 0,
    };
    let chunk = ChunkLayout {
        dictionary: None,
        pages: &[location],
        rows,
        optional: true,
        compressed: true,
    };

    let mut pages = Pages::default();
    let result = pages.load(
        &chunk,
        &file,
        std::slice::from_ref(&(0..rows)),
        &mut Unpacker::default(),
    );
    assert!(pages.memory() <= rows * ROW_BYTES_MAX + PAGE_BYTES_MIN);
    result.map(|()| pages)
}

/// Levels of 2 bytes, then 3 bytes of values.
const BODY: [u8; 9] = [2, 0, 0, 0, 20, 1, 7, 8, 9];

#[test]
fn a_page_has_levels_and_values() {
    let pages = load(page(10, &BODY, |_| ()), 10).unwrap();
    let page = pages.get(0).unwrap();
    assert_eq!(page.rows, 0..10);
    assert_eq!(page.levels, Some(&[20, 1][..]));
    assert_eq!(page.values, [7, 8, 9]);
    assert!(pages.get(1).is_none());
}

#[test]
fn headers_that_lie_are_refused() {
    let check = |field: usize, value: i64| {
        assert!(
            load(page(10, &BODY, |header| header[field] = value), 10).is_err(),
            "{field} {value}"
        );
    };

    for field in 0..4 {
        for value in [-1, 1, 3, i64::MIN, i64::MAX, i64::from(i32::MAX), 64 << 20] {
            check(field, value);
        }
    }

    for encoding in [-1, 1, 3, 4, 6, 7, 10, i64::MAX] {
        check(4, encoding);
    }

    // Levels that are bit packed without a length in front, as before Parquet 2.
    check(5, 4);
}

#[test]
fn levels_that_are_longer_than_their_page_are_refused() {
    for length in [6, 255, 0xffff, u32::MAX] {
        let mut body = BODY;
        body[..4].copy_from_slice(&length.to_le_bytes());
        assert!(load(page(10, &body, |_| ()), 10).is_err(), "{length}");
    }

    assert!(load(page(10, &BODY[..3], |_| ()), 10).is_err());
}

#[test]
fn a_bomb_takes_no_memory() {
    // It says how large it is, or it does not.
    let bomb = vec![0; 1 << 20];
    assert!(load(page(10, &bomb, |_| ()), 10).is_err());
    assert!(load(page(10, &bomb, |header| header[1] = 100), 10).is_err());

    let rows = (1 << 20) / ROW_BYTES_MAX;
    assert!(load(page(rows, &bomb, |_| ()), rows).is_ok());
}
