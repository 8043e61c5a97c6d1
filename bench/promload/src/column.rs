//! The `.col` file: whole series, compact.
//!
//! A zstd stream of a [`Header`] line, then per series `u32 label bytes | labels | u32 n | planes`,
//! little-endian. `labels` are protobuf as in a write request. The planes are 8 x n bytes of
//! timestamp deltas, then 8 x n bytes of values, each XORed with the one before: byte 0 of all,
//! then byte 1 of all, which helps the compressor.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};

use anyhow::{Context, Result, bail};

use crate::header::Header;
use crate::rw::RwFile;

const ZSTD_LEVEL: i32 = 15;

/// One series: `ts_ms` and `values` are of one length and in order of time.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) labels: Vec<u8>,
    pub(crate) ts_ms: Vec<i64>,
    pub(crate) values: Vec<f64>,
}

/// Reads the header of a data file, `.rw` or `.col`.
pub(crate) fn read_header(path: &str) -> Result<Header> {
    if path.ends_with(".col") {
        Ok(read_col(path)?.0)
    } else {
        Ok(RwFile::open(path)?.header)
    }
}

/// Loads a whole data file, `.rw` or `.col`, by series in order of first appearance.
///
/// If `series_max` is given, about so many series at most are taken, spread evenly over the file.
pub(crate) fn load(path: &str, series_max: Option<usize>) -> Result<(Header, Vec<Column>)> {
    let (header, columns) = if path.ends_with(".col") {
        read_col(path)?
    } else {
        read_rw(path)?
    };

    let step = series_max.map_or(1, |max| (columns.len() / max.max(1)).max(1));
    Ok((header, columns.into_iter().step_by(step).collect()))
}

fn read_rw(path: &str) -> Result<(Header, Vec<Column>)> {
    let file = RwFile::open(path)?;
    let mut index: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut columns: Vec<Column> = vec![];

    file.for_each(|labels, ts_ms, value| {
        let at = index.get(labels).copied().unwrap_or_else(|| {
            index.insert(labels.to_vec(), columns.len());
            columns.push(Column {
                labels: labels.to_vec(),
                ts_ms: vec![],
                values: vec![],
            });

            columns.len() - 1
        });

        columns[at].ts_ms.push(ts_ms);
        columns[at].values.push(value);
    })?;

    Ok((file.header, columns))
}

fn put_planes(out: &mut impl Write, words: &[u64]) -> Result<()> {
    for plane in 0..8 {
        let bytes: Vec<u8> = words.iter().map(|word| word.to_le_bytes()[plane]).collect();
        out.write_all(&bytes)?;
    }

    Ok(())
}

fn get_planes(bytes: &[u8], count: usize) -> impl Iterator<Item = u64> + '_ {
    (0..count)
        .map(move |i| u64::from_le_bytes(std::array::from_fn(|plane| bytes[plane * count + i])))
}

pub(crate) fn write_col(path: &str, header: &Header, columns: &[Column]) -> Result<()> {
    let file = File::create(path).with_context(|| format!("create a file. path=`{path}`"))?;
    let mut out = zstd::stream::Encoder::new(BufWriter::new(file), ZSTD_LEVEL)?;
    out.write_all(&header.to_line())?;

    for column in columns {
        out.write_all(&u32::try_from(column.labels.len())?.to_le_bytes())?;
        out.write_all(&column.labels)?;
        out.write_all(&u32::try_from(column.ts_ms.len())?.to_le_bytes())?;

        let mut last_ts = 0i64;
        let deltas = column
            .ts_ms
            .iter()
            .map(|&ts| ts.wrapping_sub(std::mem::replace(&mut last_ts, ts)) as u64);

        put_planes(&mut out, &deltas.collect::<Vec<_>>())?;

        let mut last_bits = 0;
        let xors = column
            .values
            .iter()
            .map(|v| v.to_bits() ^ std::mem::replace(&mut last_bits, v.to_bits()));

        put_planes(&mut out, &xors.collect::<Vec<_>>())?;
    }

    out.finish()?.flush()?;
    Ok(())
}

pub(crate) fn read_col(path: &str) -> Result<(Header, Vec<Column>)> {
    read_col_inner(path).with_context(|| format!("read a data file. path=`{path}`"))
}

fn read_col_inner(path: &str) -> Result<(Header, Vec<Column>)> {
    let mut input =
        BufReader::with_capacity(1 << 20, zstd::stream::Decoder::new(File::open(path)?)?);
    let header = Header::parse(&read_bytes(&mut input, Header::LEN)?)?;
    let mut columns = vec![];

    while let Some(labels_len) = read_u32_or_end(&mut input)? {
        let labels = read_bytes(&mut input, labels_len as usize)?;
        let count = read_u32_or_end(&mut input)?.context("series cut short")? as usize;
        let planes = read_bytes(&mut input, count * 16)?;
        let mut ts = 0i64;
        let mut bits = 0u64;
        let next_ts = |delta: u64| {
            ts = ts.wrapping_add(delta as i64);
            ts
        };

        let ts_ms = get_planes(&planes[..count * 8], count)
            .map(next_ts)
            .collect();
        let next_value = |xor: u64| {
            bits ^= xor;
            f64::from_bits(bits)
        };

        let values = get_planes(&planes[count * 8..], count)
            .map(next_value)
            .collect();
        columns.push(Column {
            labels,
            ts_ms,
            values,
        });
    }

    Ok((header, columns))
}

/// Grows with what is there, so that a damaged length costs no memory.
fn read_bytes(input: &mut impl Read, len: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    let read = input.take(len as u64).read_to_end(&mut bytes)?;

    if read < len {
        bail!("file cut short. expected=`{len}`, actual=`{read}`");
    }

    Ok(bytes)
}

/// `None` at the end of the stream; an error when the stream ends inside of the number.
fn read_u32_or_end(input: &mut impl Read) -> Result<Option<u32>> {
    let mut bytes = vec![];
    input.take(4).read_to_end(&mut bytes)?;

    match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(number) => Ok(Some(u32::from_le_bytes(number))),
        Err(_) if bytes.is_empty() => Ok(None),
        Err(_) => bail!("file cut short inside of a length"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_back_bit_for_bit_and_a_cut_file_is_refused() {
        let path = std::env::temp_dir().join(format!("promload-{}-test.col", std::process::id()));
        let path = path.to_str().unwrap();

        let values = vec![
            1.5,
            -0.0,
            f64::from_bits(crate::wire::STALE_NAN),
            f64::INFINITY,
        ];

        let column = Column {
            labels: b"abc".to_vec(),
            ts_ms: vec![-7, 0, 1, i64::MAX],
            values,
        };

        write_col(path, &Header::default(), &[column]).unwrap();

        let (_, back) = read_col(path).unwrap();
        assert_eq!(
            (back.len(), &back[0].labels[..], &back[0].ts_ms[..]),
            (1, &b"abc"[..], &[-7, 0, 1, i64::MAX][..])
        );

        let bits: Vec<u64> = back[0].values.iter().map(|v| v.to_bits()).collect();
        assert_eq!(
            bits,
            [0x3ff8 << 48, 1 << 63, crate::wire::STALE_NAN, 0x7ff0 << 48]
        );

        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() - 6]).unwrap();

        assert!(read_col(path).is_err());

        // Whole streams of files that lie about a length: of the labels, of the samples, and of a
        // length cut in two.
        for lie in [
            &u32::MAX.to_le_bytes()[..],
            &[0, 0, 0, 0, 1, 0, 0, 0, 9],
            &[0, 0],
        ] {
            let bytes = [&Header::default().to_line(), lie].concat();
            std::fs::write(path, zstd::stream::encode_all(&bytes[..], 1).unwrap()).unwrap();
            assert!(read_col(path).is_err(), "{lie:?}");
        }

        std::fs::remove_file(path).unwrap();
    }
}
