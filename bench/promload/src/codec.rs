//! Size and decoding speed of simple codecs on a data set, on one core: the physical limits of
//! reading.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;

use crate::bits::{BitReader, BitWriter};
use crate::column::{Column, load};
use crate::decimal::scale;
use crate::gorilla::{self, CHUNK_SAMPLES};
use crate::lanes::{BLOCK_VALUES, Packed};
use crate::wire::{get_varint, put_zigzag};

/// The best of this many passes counts.
const PASSES: usize = 3;
/// Residuals are compressed in pieces of this size.
const PIECE_BYTES: usize = 256 << 10;

/// Prints a line for each codec. At most about `series_max` series are taken.
pub(crate) fn run(path: &str, series_max: Option<usize>) -> Result<()> {
    let (_, columns) = load(path, series_max)?;
    let samples: usize = columns.iter().map(|column| column.ts_ms.len()).sum();
    println!("{path}: {} series {samples} samples", columns.len());
    plain_floats(&columns, samples);
    gorilla_chunks(&columns, samples)?;

    let integers = integer_columns(&columns);
    packed_integers(&integers)?;
    compressed_residuals(&integers)?;

    let kept: usize = integers.iter().map(|(_, values)| values.len()).sum();
    let left_out = 100.0 * (samples - kept) as f64 / samples as f64;
    println!("(full-mantissa series left out of the integer codecs: {left_out:.1}% of samples)");

    Ok(())
}

fn print_line(name: &str, bytes: usize, samples: usize, seconds: f64) {
    let per_s = samples as f64 / seconds;
    println!(
        "{name:44} {:7.3} B/sample  decode {:8.1} M samples/s/core  {:6.2} GB/s out",
        bytes as f64 / samples as f64,
        per_s / 1e6,
        per_s * 8.0 / 1e9
    );
}

fn best_seconds(mut pass: impl FnMut() -> Result<u64>) -> Result<f64> {
    let mut best = f64::MAX;
    for _ in 0..PASSES {
        let started = Instant::now();
        black_box(pass()?);
        best = best.min(started.elapsed().as_secs_f64());
    }

    Ok(best)
}

fn plain_floats(columns: &[Column], samples: usize) {
    let flat: Vec<f64> = columns
        .iter()
        .flat_map(|column| column.values.iter().copied())
        .collect();

    let pass = || Ok(flat.iter().fold(0, |sum, value| sum ^ value.to_bits()));

    if let Ok(seconds) = best_seconds(pass) {
        print_line(
            "raw f64, one pass (memory bandwidth)",
            samples * 8,
            samples,
            seconds,
        );
    }
}

fn gorilla_chunks(columns: &[Column], samples: usize) -> Result<()> {
    let mut out = BitWriter::default();
    let mut chunks = vec![];
    let mut expected = 0;

    for column in columns {
        for (ts_ms, values) in column
            .ts_ms
            .chunks(CHUNK_SAMPLES)
            .zip(column.values.chunks(CHUNK_SAMPLES))
        {
            chunks.push((out.align(), ts_ms.len()));
            gorilla::encode(&mut out, ts_ms, values);
            expected ^= fingerprint(ts_ms, values);
        }
    }

    let words = out.into_words();
    let mut ts_ms = [0; CHUNK_SAMPLES];
    let mut values = [0.0; CHUNK_SAMPLES];

    let mut pass = || {
        let mut sum = 0;

        for &(at, len) in &chunks {
            gorilla::decode(
                &mut BitReader::new(&words, at),
                &mut ts_ms[..len],
                &mut values[..len],
            );

            sum ^= fingerprint(&ts_ms[..len], &values[..len]);
        }

        Ok(sum)
    };

    assert_eq!(pass()?, expected, "chunks do not come back as they were");

    let seconds = best_seconds(pass)?;
    print_line(
        "gorilla ts+value, 120-sample chunks",
        words.len() * 8,
        samples,
        seconds,
    );

    Ok(())
}

/// Returns a fingerprint of the last sample, which depends on all samples before it.
fn fingerprint(ts_ms: &[i64], values: &[f64]) -> u64 {
    values.last().map_or(0, |value| value.to_bits()) ^ ts_ms.last().map_or(0, |ts| *ts as u64)
}

/// The series that scale to integers, with their decimals; NaN counts as 0.
fn integer_columns(columns: &[Column]) -> Vec<(i32, Vec<i64>)> {
    let number = |value: &f64| if value.is_nan() { 0.0 } else { *value };
    let integers = |column: &Column| {
        let scaled = scale(&column.values.iter().map(number).collect::<Vec<_>>())?;
        Some((scaled.decimals, scaled.integers))
    };

    columns.iter().filter_map(integers).collect()
}

fn packed_integers(columns: &[(i32, Vec<i64>)]) -> Result<()> {
    let mut packed = Packed::default();
    for (decimals, integers) in columns {
        packed.push(integers, *decimals);
    }

    let bytes = packed.bytes();
    packed.seal();

    if packed.values() == 0 {
        return Ok(());
    }

    let mut out = [0.0; BLOCK_VALUES];
    let bad = packed.decode_all(&mut out);
    let seconds = best_seconds(|| Ok(packed.decode_all(&mut out) as u64))?;

    print_line(
        &format!("decimal ints, lane delta + bit pack 1024 ({bad} bad)"),
        bytes,
        packed.values(),
        seconds,
    );

    Ok(())
}

fn compressed_residuals(columns: &[(i32, Vec<i64>)]) -> Result<()> {
    let mut residuals = vec![];
    for (_, integers) in columns {
        let mut last = 0;
        for &integer in integers {
            put_zigzag(&mut residuals, integer.wrapping_sub(last));
            last = integer;
        }
    }

    let samples = columns.iter().map(|(_, integers)| integers.len()).sum();

    for level in [1, 3, 9] {
        let compress = |piece| zstd::bulk::compress(piece, level);
        let pieces = residuals
            .chunks(PIECE_BYTES)
            .map(compress)
            .collect::<Result<Vec<_>, _>>()?;

        let bytes = pieces.iter().map(Vec::len).sum();
        let seconds = best_seconds(|| decompress(&pieces, |_| 0))?;

        print_line(
            &format!("delta varints + zstd -{level}, 256 KiB (zstd only)"),
            bytes,
            samples,
            seconds,
        );

        if level == 1 {
            let mut last = 0i64;
            let seconds =
                best_seconds(|| decompress(&pieces, |piece| prefix_sums(piece, &mut last)))?;
            print_line("  + varint decode and prefix sum", bytes, samples, seconds);
        }
    }

    Ok(())
}

fn decompress(pieces: &[Vec<u8>], mut on_piece: impl FnMut(&[u8]) -> u64) -> Result<u64> {
    let mut decompressor = zstd::bulk::Decompressor::new()?;
    let mut buf = vec![0; PIECE_BYTES];
    let mut sum = 0;

    for piece in pieces {
        let len = decompressor.decompress_to_buffer(piece, &mut buf)?;
        sum ^= on_piece(black_box(&buf[..len]));
    }

    Ok(sum)
}

fn prefix_sums(piece: &[u8], last: &mut i64) -> u64 {
    let mut at = 0;
    let mut sum = 0;

    while let Some(zigzag) = get_varint(piece, &mut at) {
        *last = last.wrapping_add((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
        sum ^= *last as u64;
    }

    sum
}
