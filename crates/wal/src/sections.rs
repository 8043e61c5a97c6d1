//! Sections: the parts of a record beside the columns of its samples. Each starts with its number,
//! and the numbers ascend. Empty sections are left out, so a record of floats alone is no longer
//! than before sections.
//!
//! ```text
//! section    := 1 starts:runs | 2 ttls:runs | 3 histograms | 4 exemplars | 5 metadata | 6 name:text
//! histograms := n refs:runs times:runs starts:runs ttls:runs length*n bytes*n
//! exemplars  := n refs:runs times:runs values length*n labels*n
//! metadata   := n last_seen:runs family*n      family := type:u8 text text text      text := length bytes[length]
//! ```
//!
//! Starts and ttls have one value for each sample; 0 means not given. As runs, a column of equal
//! values takes a few bytes.

#![deny(clippy::indexing_slicing)]

use duramen_model::{FamilyMetadata, Life, MetricType};

use crate::record::{ExemplarRow, HistogramRow, OwnedRecord, WriteRecord};
use crate::runs::{put_runs, take_runs};
use crate::values::{put_values, take_values};
use crate::varint::{Input, put_varint};

const STARTS: u8 = 1;
const TTLS: u8 = 2;
const HISTOGRAMS: u8 = 3;
const EXEMPLARS: u8 = 4;
const METADATA: u8 = 5;
const TENANT_NAME: u8 = 6;

pub(crate) fn put_sections(out: &mut Vec<u8>, record: &WriteRecord<'_>) {
    if record.lives.iter().any(|life| life.start_ms != 0) {
        out.push(STARTS);
        put_runs(out, record.lives.iter().map(|life| life.start_ms));
    }

    if record.lives.iter().any(|life| life.ttl_ms != 0) {
        out.push(TTLS);
        put_runs(out, record.lives.iter().map(|life| life.ttl_ms));
    }

    if !record.histograms.is_empty() {
        out.push(HISTOGRAMS);
        put_histograms(out, record.histograms);
    }

    if !record.exemplars.is_empty() {
        out.push(EXEMPLARS);
        put_exemplars(out, record.exemplars);
    }

    if !record.metadata.is_empty() {
        out.push(METADATA);
        put_metadata(out, record.metadata);
    }

    if !record.tenant_name.is_empty() {
        out.push(TENANT_NAME);
        put_varint(out, record.tenant_name.len() as u64);
        out.extend_from_slice(record.tenant_name.as_bytes());
    }
}

/// Reads all sections up to the end of the input into `record`, which has its samples already.
/// Returns `None` if the bytes are not valid sections.
pub(crate) fn take_sections(input: &mut Input<'_>, record: &mut OwnedRecord) -> Option<()> {
    let mut last = 0;

    while !input.is_empty() {
        let [section] = input.array()?;
        if section <= last {
            return None;
        }

        last = section;

        match section {
            STARTS => take_lives(input, record, |life, value| life.start_ms = value)?,
            TTLS => take_lives(input, record, |life, value| life.ttl_ms = value)?,
            HISTOGRAMS => record.histograms = take_histograms(input)?,
            EXEMPLARS => record.exemplars = take_exemplars(input)?,
            METADATA => record.metadata = take_metadata(input)?,
            TENANT_NAME => {
                let length = input.length()?;
                record.tenant_name = String::from_utf8(input.take(length)?.to_vec()).ok()?;
            }
            _ => return None,
        }
    }

    Some(())
}

/// Reads one field of the lives of all samples. The number of samples bounds the memory, and each
/// of them took bytes of the input.
fn take_lives(
    input: &mut Input<'_>,
    record: &mut OwnedRecord,
    set: impl Fn(&mut Life, i64),
) -> Option<()> {
    record.lives.resize(record.refs.len(), Life::NONE);
    fill(input, &mut record.lives, set)
}

fn put_histograms(out: &mut Vec<u8>, rows: &[HistogramRow]) {
    put_varint(out, rows.len() as u64);
    put_runs(out, rows.iter().map(|row| i64::from(row.series_ref)));
    put_runs(out, rows.iter().map(|row| row.ts_ms));
    put_runs(out, rows.iter().map(|row| row.life.start_ms));
    put_runs(out, rows.iter().map(|row| row.life.ttl_ms));
    put_byte_strings(out, rows.iter().map(|row| row.bytes.as_slice()));
}

fn take_histograms(input: &mut Input<'_>) -> Option<Vec<HistogramRow>> {
    let count = take_count(input, 1)?;
    let empty = HistogramRow {
        series_ref: 0,
        ts_ms: 0,
        life: Life::NONE,
        bytes: Vec::new(),
    };

    let mut rows = vec![empty; count];
    fill_refs(input, &mut rows, |row, series_ref| {
        row.series_ref = series_ref
    })?;
    fill(input, &mut rows, |row, value| row.ts_ms = value)?;
    fill(input, &mut rows, |row, value| row.life.start_ms = value)?;
    fill(input, &mut rows, |row, value| row.life.ttl_ms = value)?;

    let lengths = take_lengths(input, count)?;
    for (row, length) in rows.iter_mut().zip(lengths) {
        row.bytes = input.take(length)?.to_vec();
    }

    Some(rows)
}

fn put_exemplars(out: &mut Vec<u8>, rows: &[ExemplarRow]) {
    put_varint(out, rows.len() as u64);
    put_runs(out, rows.iter().map(|row| i64::from(row.series_ref)));
    put_runs(out, rows.iter().map(|row| row.ts_ms));

    let values: Vec<f64> = rows.iter().map(|row| row.value).collect();
    put_values(out, &values);
    put_byte_strings(out, rows.iter().map(|row| row.labels.as_slice()));
}

fn take_exemplars(input: &mut Input<'_>) -> Option<Vec<ExemplarRow>> {
    let count = take_count(input, 2)?;
    let mut rows = vec![
        ExemplarRow {
            series_ref: 0,
            ts_ms: 0,
            value: 0.0,
            labels: Vec::new()
        };
        count
    ];

    fill_refs(input, &mut rows, |row, series_ref| {
        row.series_ref = series_ref
    })?;
    fill(input, &mut rows, |row, value| row.ts_ms = value)?;

    let values = take_values(input, count)?;
    let lengths = take_lengths(input, count)?;

    for ((row, value), length) in rows.iter_mut().zip(values).zip(lengths) {
        row.value = value;
        row.labels = input.take(length)?.to_vec();
    }

    Some(rows)
}

fn put_metadata(out: &mut Vec<u8>, families: &[FamilyMetadata]) {
    put_varint(out, families.len() as u64);
    put_runs(out, families.iter().map(|family| family.last_seen_ms));

    for FamilyMetadata {
        family,
        kind,
        help,
        unit,
        ..
    } in families
    {
        out.push(kind.number());
        for text in [family, help, unit] {
            put_varint(out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

fn take_metadata(input: &mut Input<'_>) -> Option<Vec<FamilyMetadata>> {
    // A family takes at least a type and three lengths.
    let count = take_count(input, 4)?;
    let empty = FamilyMetadata {
        family: String::new(),
        kind: MetricType::Unknown,
        help: String::new(),
        unit: String::new(),
        last_seen_ms: 0,
    };

    let mut families = vec![empty; count];
    fill(input, &mut families, |family, value| {
        family.last_seen_ms = value
    })?;

    for family in &mut families {
        let [kind] = input.array()?;
        family.kind = MetricType::numbered(u64::from(kind));

        for text in [&mut family.family, &mut family.help, &mut family.unit] {
            let length = input.length()?;
            std::str::from_utf8(input.take(length)?)
                .ok()?
                .clone_into(text);
        }
    }

    Some(families)
}

/// Reads a count of items. Returns `None` if the input is too short for so many items of at least
/// `bytes_min` bytes each.
fn take_count(input: &mut Input<'_>, bytes_min: usize) -> Option<usize> {
    let count = input.length()?;
    (count <= input.len() / bytes_min).then_some(count)
}

/// Reads a column and hands one value to each of `rows`.
fn fill<T>(input: &mut Input<'_>, rows: &mut [T], set: impl Fn(&mut T, i64)) -> Option<()> {
    let count = rows.len();
    let mut rows = rows.iter_mut();
    take_runs(input, count, |value| {
        set(rows.next()?, value);
        Some(())
    })
}

fn fill_refs<T>(input: &mut Input<'_>, rows: &mut [T], set: impl Fn(&mut T, u32)) -> Option<()> {
    let count = rows.len();
    let mut rows = rows.iter_mut();
    take_runs(input, count, |value| {
        set(rows.next()?, u32::try_from(value).ok()?);
        Some(())
    })
}

fn put_byte_strings<'a>(out: &mut Vec<u8>, all: impl Iterator<Item = &'a [u8]> + Clone) {
    all.clone()
        .for_each(|bytes| put_varint(out, bytes.len() as u64));
    all.for_each(|bytes| out.extend_from_slice(bytes));
}

fn take_lengths(input: &mut Input<'_>, count: usize) -> Option<Vec<usize>> {
    (0..count).map(|_| input.length()).collect()
}
