//! Writes blocks of a TSDB, as Prometheus does.

use std::collections::BTreeSet;
use std::path::Path;

use duramen_model::Histogram;
use duramen_proto::chunk::{Chunk, ChunkBuilder};

/// The name of the block's directory, and its id.
pub(crate) const ULID: &str = "01HF0000000000000000000000";

#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    /// In name order.
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) floats: Vec<(i64, f64)>,
    pub(crate) histograms: Vec<(i64, Histogram)>,
}

fn put_uvarint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn put_varint(value: i64, out: &mut Vec<u8>) {
    put_uvarint(((value << 1) ^ (value >> 63)).cast_unsigned(), out);
}

fn put_checksum(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend(crc32c::crc32c(bytes).to_be_bytes());
}

/// Writes a block of `series`, which are in the order of a TSDB, with samples in `[0, max_time)`.
pub(crate) fn write(directory: &Path, series: &[Series], max_time: i64, thanos: &str) {
    std::fs::create_dir_all(directory.join("chunks")).unwrap();
    let mut segment = 0x85bd_40dd_u32.to_be_bytes().to_vec();
    segment.extend([1, 0, 0, 0]);

    let symbols: BTreeSet<&str> = series
        .iter()
        .flat_map(|series| &series.labels)
        .flat_map(|(name, value)| [name.as_str(), value.as_str()])
        .collect();
    let symbols: Vec<&str> = symbols.into_iter().collect();

    let mut index = 0xbaaa_d700_u32.to_be_bytes().to_vec();
    index.push(2);

    let symbols_at = index.len() as u64;
    let mut table = u32::try_from(symbols.len()).unwrap().to_be_bytes().to_vec();
    for symbol in &symbols {
        put_uvarint(symbol.len() as u64, &mut table);
        table.extend(symbol.as_bytes());
    }
    index.extend(u32::try_from(table.len()).unwrap().to_be_bytes());
    index.extend(&table);
    put_checksum(&table, &mut index);

    index.resize(index.len().next_multiple_of(16), 0);
    let series_at = index.len() as u64;

    for series in series {
        index.resize(index.len().next_multiple_of(16), 0);
        let chunks = chunks(series, &mut segment);
        let entry = entry(series, &symbols, &chunks);
        put_uvarint(entry.len() as u64, &mut index);
        index.extend(&entry);
        put_checksum(&entry, &mut index);
    }

    let end = index.len() as u64;
    let toc: Vec<u8> = [symbols_at, series_at, end, 0, end, end]
        .into_iter()
        .flat_map(u64::to_be_bytes)
        .collect();
    // The sections behind the series are not read.
    index.extend([0; 8]);
    index.extend(&toc);
    put_checksum(&toc, &mut index);

    std::fs::write(directory.join("index"), index).unwrap();
    std::fs::write(directory.join("chunks/000001"), segment).unwrap();

    let meta = format!(
        r#"{{"ulid":"{ULID}","minTime":0,"maxTime":{max_time},"version":1,"stats":{{}},"thanos":{thanos}}}"#
    );
    std::fs::write(directory.join("meta.json"), meta).unwrap();
}

/// Appends the chunks of a series to the segment. Returns each with its reference.
fn chunks(series: &Series, segment: &mut Vec<u8>) -> Vec<(Chunk, u64)> {
    let mut builder = ChunkBuilder::default();
    let mut chunks = Vec::new();

    for (ts_ms, value) in &series.floats {
        chunks.extend(builder.push_float(*ts_ms, *value));
    }

    chunks.extend(builder.finish());

    for (ts_ms, histogram) in &series.histograms {
        chunks.extend(builder.push_histogram(*ts_ms, histogram).unwrap());
    }

    chunks.extend(builder.finish());

    chunks
        .into_iter()
        .map(|chunk| {
            let reference = segment.len() as u64;
            let mut body = vec![chunk.encoding as u8];
            body.extend(&chunk.data);

            put_uvarint(chunk.data.len() as u64, segment);
            segment.extend(&body);
            put_checksum(&body, segment);
            (chunk, reference)
        })
        .collect()
}

fn entry(series: &Series, symbols: &[&str], chunks: &[(Chunk, u64)]) -> Vec<u8> {
    let number = |text: &str| symbols.binary_search(&text).unwrap() as u64;
    let mut entry = Vec::new();
    put_uvarint(series.labels.len() as u64, &mut entry);

    for (name, value) in &series.labels {
        put_uvarint(number(name), &mut entry);
        put_uvarint(number(value), &mut entry);
    }

    put_uvarint(chunks.len() as u64, &mut entry);
    let mut before: Option<&(Chunk, u64)> = None;

    for current in chunks {
        let (chunk, reference) = current;

        match before {
            None => put_varint(chunk.first_ms, &mut entry),
            Some((last, _)) => {
                put_uvarint((chunk.first_ms - last.last_ms).cast_unsigned(), &mut entry);
            }
        }

        put_uvarint((chunk.last_ms - chunk.first_ms).cast_unsigned(), &mut entry);

        match before {
            None => put_uvarint(*reference, &mut entry),
            Some((_, last)) => put_varint(reference.cast_signed() - last.cast_signed(), &mut entry),
        }

        before = Some(current);
    }

    entry
}
