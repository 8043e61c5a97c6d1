//! Both readers give back what was written, in every shape of page.

use std::iter;
use std::ops::Range;

use super::library;
use super::written::{Form, Group, Noise, Row, Value, rows};
use crate::layout::schema::sample;
use crate::read::plan::GroupRows;
use crate::read::samples::{Samples, Scratch};

const LIVES: [usize; 2] = [sample::TTL, sample::START_TS];

/// Returns ascending ranges of `rows` rows.
pub(super) fn ranges(noise: &mut Noise, rows: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut at = 0;
    let step = noise.below(rows) + 1;

    while at < rows {
        let start = at + noise.below(step);
        let end = start + noise.below(step) + 1;
        if end <= rows {
            ranges.push(start..end);
        }

        at = end;
    }

    if ranges.is_empty() {
        ranges.push(0..rows);
    }

    ranges
}

/// Reads the rows `wanted` of a group twice with one memory, and compares all columns.
fn check(group: &Group, rows: &[Row], wanted: Vec<Range<usize>>, scratch: &mut Scratch) {
    let wanted = GroupRows {
        group: 0,
        rows: wanted,
    };
    let file = group.file(&wanted, &LIVES);
    let mut samples = Samples::default();

    for _ in 0..2 {
        samples
            .append(&group.parsed, &file, &wanted, &LIVES, None, scratch)
            .unwrap();
    }

    let expected: Vec<&Row> = wanted
        .rows
        .iter()
        .flat_map(|range| &rows[range.clone()])
        .collect();
    let (ts, bits) = library::samples(&group.parsed, &file, &wanted.rows);
    assert_eq!(ts, expected.iter().map(|row| row.ts).collect::<Vec<_>>());
    assert_eq!(
        bits,
        expected.iter().map(|row| row.bits()).collect::<Vec<_>>()
    );

    let own: Vec<u64> = samples.values.iter().map(|value| value.to_bits()).collect();
    assert_eq!(samples.ts, ts.repeat(2));
    assert_eq!(own, bits.repeat(2));

    let columns = samples.into_columns(Vec::new());
    for (column, own, value) in [
        (
            sample::START_TS,
            columns.lives.starts,
            (|row| row.start) as fn(&&Row) -> i64,
        ),
        (sample::TTL, columns.lives.ttls, |row| row.ttl),
    ] {
        let expected: Vec<i64> = expected.iter().map(value).collect();
        let own = own.unwrap_or_else(|| vec![0; expected.len() * 2]);
        assert_eq!(own, expected.repeat(2));

        if group
            .parsed
            .row_group(0)
            .column(column)
            .statistics()
            .is_some()
        {
            let by_library = library::lives(&group.parsed, &file, column, &wanted.rows);
            assert_eq!(by_library, expected);
        }
    }
}

#[test]
fn both_readers_give_back_what_was_written() {
    let mut noise = Noise(7);
    let mut scratch = Scratch::default();

    for round in 0..60 {
        let count = [1, 31, 32, 33, 127, 128, 129, 1000, 3000][round % 9];
        let rows = rows(&mut noise, count);
        let form = Form {
            compressed: round % 3 > 0,
            page_rows: [count.div_ceil(50), 300, 5000][noise.below(3)].min(count),
        };
        let group = Group::write(&rows, form, &mut noise);

        for wanted in [iter::once(0..count).collect(), ranges(&mut noise, count)] {
            check(&group, &rows, wanted, &mut scratch);
        }
    }
}

/// Returns the error of 100 rows, of which row 40 has `value`.
fn error_of(value: Value) -> String {
    let mut noise = Noise(5);
    let mut rows = rows(&mut noise, 100);
    rows[40].value = value;

    let form = Form {
        compressed: true,
        page_rows: 100,
    };
    let group = Group::write(&rows, form, &mut noise);
    let wanted = GroupRows {
        group: 0,
        rows: iter::once(0..100).collect(),
    };
    let file = group.file(&wanted, &[]);
    let scratch = &mut Scratch::default();
    let result = Samples::default().append(&group.parsed, &file, &wanted, &[], None, scratch);
    result.unwrap_err().to_string()
}

#[test]
fn a_row_with_two_values_and_an_unknown_exponent_are_refused() {
    let both = error_of(Value::Both);
    assert!(both.contains("both an integer and a float"), "{both}");

    for exponent in [-1, 23, i32::MAX] {
        let error = error_of(Value::Integer(1, exponent));
        assert!(error.contains("an exponent is not 0 to 22"), "{error}");
    }
}
