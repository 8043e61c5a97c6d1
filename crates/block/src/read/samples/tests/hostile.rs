//! Pages that no writer makes: they give an error or some values, and never a panic or memory that
//! was merely claimed. The checksums of extents are not looked at here.

use std::ops::Range;

use duramen_model::{Labels, STALE_NAN};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};

use super::agreement::ranges;
use super::written::{Form, Group, Noise, rows};
use crate::layout::file_names::SAMPLES_FILE;
use crate::layout::schema::sample;
use crate::read::fetch::SparseFile;
use crate::read::plan::GroupRows;
use crate::read::samples::{Samples, Scratch};
use crate::write::block::BlockWriter;
use crate::write::contents::SeriesContents;
use crate::write::options::WriterOptions;

const LIVES: [usize; 2] = [sample::TTL, sample::START_TS];

/// How many times the usual number of mutations is tried. The default takes a second or two.
fn times() -> usize {
    std::env::var("DURAMEN_TORTURE").map_or(1, |times| times.parse().unwrap())
}

/// A reader whose memory is used for good and bad files in turns.
#[derive(Default)]
struct Reader {
    scratch: Scratch,
    refused: usize,
    read: usize,
}

impl Reader {
    /// Reads the rows `wanted`.
    fn read(&mut self, group: &Group, file: &SparseFile, wanted: &[Range<usize>]) {
        let wanted = GroupRows {
            group: 0,
            rows: wanted.to_vec(),
        };
        let rows: usize = wanted.rows.iter().map(Range::len).sum();
        let mut samples = Samples::default();
        let result = samples.append(
            &group.parsed,
            file,
            &wanted,
            &LIVES,
            None,
            &mut self.scratch,
        );

        match result {
            Ok(()) => {
                assert_eq!((samples.ts.len(), samples.values.len()), (rows, rows));
                self.read += 1;
            }
            Err(_) => self.refused += 1,
        }

        assert!(samples.ts.capacity() <= 2 * rows.max(4));
        assert!(samples.values.capacity() <= 2 * rows.max(4));
        assert!(
            self.scratch.memory() <= 1 << 20,
            "{}",
            self.scratch.memory()
        );
    }
}

fn whole(bytes: Vec<u8>) -> SparseFile {
    SparseFile::of(bytes.len() as u64, vec![(0, bytes.into())])
}

/// A group of rows of all kinds, in pages of all kinds.
fn group(noise: &mut Noise, count: usize, compressed: bool) -> Group {
    let rows = rows(noise, count);
    let form = Form {
        compressed,
        page_rows: count / 2,
    };
    Group::write(&rows, form, noise)
}

#[test]
fn flipped_bits_and_changed_bytes_are_survived() {
    let mut noise = Noise(1);
    let mut reader = Reader::default();

    for round in 0..4 * times() {
        let count = 20 + noise.below(100);
        let group = group(&mut noise, count, round % 4 == 0);
        let wanted = ranges(&mut noise, count);

        for at in 0..group.bytes.len() {
            let mut bytes = group.bytes.clone();
            bytes[at] ^= match noise.below(3) {
                0 => 0xff,
                1 => 0x80,
                _ => 1 << noise.below(8),
            };

            if noise.one_in(4) {
                let other = noise.below(bytes.len());
                bytes[other] = u8::try_from(noise.below(256)).unwrap();
            }

            reader.read(&group, &whole(bytes), &wanted);
        }
    }

    assert!(reader.refused > 100, "{}", reader.refused);
    assert!(reader.read > 100, "{}", reader.read);
}

#[test]
fn runs_of_huge_numbers_are_survived() {
    let mut noise = Noise(2);
    let mut reader = Reader::default();
    let huge: [&[u8]; 6] = [
        &[0xff; 12],
        // 2^63, and the largest number of 64 bits.
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0; 12],
        &[0xff, 0xff, 0xff, 0x7f],
    ];

    for _ in 0..4 * times() {
        let count = 20 + noise.below(100);
        let group = group(&mut noise, count, false);

        for at in 0..group.bytes.len() {
            let mut bytes = group.bytes.clone();
            let new = huge[noise.below(huge.len())];
            let end = bytes.len().min(at + new.len());
            bytes[at..end].copy_from_slice(&new[..end - at]);
            reader.read(&group, &whole(bytes), std::slice::from_ref(&(0..count)));
        }
    }

    assert!(reader.refused > 100, "{}", reader.refused);
}

#[test]
fn pages_that_are_cut_or_missing_are_refused() {
    let mut noise = Noise(3);
    let mut reader = Reader::default();
    let group = group(&mut noise, 100, true);
    let wanted = 0..100;

    for length in 0..group.bytes.len() {
        let piece = group.bytes[..length].to_vec();
        let size = group.bytes.len() as u64;
        let file = SparseFile::of(size, vec![(0, piece.into())]);
        reader.read(&group, &file, std::slice::from_ref(&wanted));
    }

    // The last column of life spans ends the file.
    assert!(reader.refused > group.bytes.len() / 2);
}

/// Returns the samples file that the writer makes of some series: counters, decimals, floats, and
/// all of them in turns. It has one row group.
fn written(noise: &mut Noise) -> Group {
    let mut writer = BlockWriter::in_memory(WriterOptions::default());

    for series in 0..6 {
        let name = format!("m{series}");
        let labels = Labels::from_pairs([("__name__", name.as_str())]).unwrap();
        let ts: Vec<i64> = (0..200).map(|i| i * 15_000 + i % 3).collect();
        let mut counter = 0.0;
        let values: Vec<f64> = ts
            .iter()
            .map(|_| {
                counter += f64::from(u8::try_from(noise.below(200)).unwrap());
                match if series < 5 { series } else { noise.below(5) } {
                    0 => counter,
                    1 => counter / 100.0,
                    2 => 1e-7 * counter,
                    3 => counter.sqrt(),
                    _ if noise.one_in(9) => STALE_NAN,
                    _ => -counter,
                }
            })
            .collect();

        writer
            .push(&labels, &SeriesContents::floats(&ts, &values))
            .unwrap();
    }

    let (_, files) = writer.finish_in_memory().unwrap();
    let file = files.into_iter().find(|(name, _)| name == SAMPLES_FILE);
    let (_, bytes) = file.unwrap();
    let parsed = ParquetMetaDataReader::new()
        .with_offset_index_policy(PageIndexPolicy::Required)
        .parse_and_finish(&bytes)
        .unwrap();
    assert_eq!(parsed.num_row_groups(), 1);

    Group {
        parsed,
        bytes: bytes.to_vec(),
    }
}

#[test]
fn flipped_bits_of_a_written_file_are_survived() {
    let mut noise = Noise(4);
    let mut reader = Reader::default();
    let group = written(&mut noise);
    let all = 0..1200;
    reader.read(
        &group,
        &whole(group.bytes.clone()),
        std::slice::from_ref(&all),
    );
    assert_eq!(reader.read, 1);

    for _ in 0..times() {
        let wanted = ranges(&mut noise, all.end);

        for at in 0..group.bytes.len() {
            let mut bytes = group.bytes.clone();
            bytes[at] ^= 1 << noise.below(8);
            reader.read(&group, &whole(bytes), &wanted);
        }
    }

    assert!(reader.refused > 100, "{}", reader.refused);
}
