//! Makes row groups of samples by hand, in more shapes than the writer does.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, OffsetIndexBuilder, ParquetMetaData, ParquetMetaDataBuilder,
    RowGroupMetaData,
};
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::statistics::Statistics;
use parquet::schema::types::SchemaDescriptor;

use crate::layout::decimal::unscaled;
use crate::layout::schema::{self, sample};
use crate::read::delta::tests::{Shape, encode, pack, put_signed, put_unsigned};
use crate::read::fetch::SparseFile;
use crate::read::plan::{self, GroupRows};

/// A pseudo-random sequence.
#[derive(Clone, Debug)]
pub(super) struct Noise(pub(super) u64);

impl Noise {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Integer(i64, i32),
    Float(f64),
    Stale,
    /// An integer and a float, which is an error.
    Both,
}

/// One row. A life span of 0 is null.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) ts: i64,
    pub(super) value: Value,
    pub(super) start: i64,
    pub(super) ttl: i64,
}

impl Row {
    pub(super) fn bits(&self) -> u64 {
        match self.value {
            Value::Integer(integer, exponent) => unscaled(integer, exponent).to_bits(),
            Value::Float(float) => float.to_bits(),
            Value::Stale | Value::Both => duramen_model::STALE_NAN_BITS,
        }
    }

    const fn integer(&self) -> Option<i64> {
        match self.value {
            Value::Integer(integer, _) => Some(integer),
            Value::Both => Some(1),
            _ => None,
        }
    }

    const fn float(&self) -> Option<f64> {
        match self.value {
            Value::Float(float) => Some(float),
            Value::Both => Some(1.0),
            _ => None,
        }
    }

    const fn exponent(&self) -> i32 {
        match self.value {
            Value::Integer(_, exponent) => exponent,
            _ => 0,
        }
    }
}

/// Returns rows of some series of different kinds.
pub(super) fn rows(noise: &mut Noise, count: usize) -> Vec<Row> {
    let mut rows = Vec::new();

    while rows.len() < count {
        let kind = noise.below(6);
        let exponent = i32::try_from(noise.below(23)).unwrap();
        let scatter = noise.below(64);
        let lives = noise.one_in(4);
        let mut ts = 1_700_000_000_000;
        let mut counter = 0i64;

        for _ in 0..noise.below(400) + 1 {
            ts += 15_000 + i64::try_from(noise.below(3)).unwrap();
            counter = counter.wrapping_add_unsigned(noise.next() >> scatter >> 8);

            let integer = Value::Integer(counter & ((1 << 53) - 1), exponent);
            let float = Value::Float(f64::from_bits(noise.next()));
            let value = match kind {
                0 | 1 => integer,
                2 => float,
                3 if noise.one_in(2) => float,
                4 if noise.one_in(32) => float,
                5 if noise.one_in(3) => Value::Stale,
                _ => integer,
            };

            let mut life = || {
                if lives && noise.one_in(3) {
                    noise.next() >> 20
                } else {
                    0
                }
            };
            rows.push(Row {
                ts,
                value,
                start: life().cast_signed(),
                ttl: life().cast_signed(),
            });
        }
    }

    rows.truncate(count);
    rows
}

/// How pages are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) compressed: bool,
    /// A page has at most this many rows.
    pub(super) page_rows: usize,
}

/// A row group, and the file that has nothing else.
pub(super) struct Group {
    pub(super) parsed: ParquetMetaData,
    pub(super) bytes: Vec<u8>,
}

impl Group {
    /// Writes `rows`. The noise chooses the pages and encodings.
    pub(super) fn write(rows: &[Row], form: Form, noise: &mut Noise) -> Self {
        let schema = Arc::new(SchemaDescriptor::new(schema::samples().unwrap()));
        let mut writer = Writer {
            rows,
            form,
            noise,
            bytes: b"PAR1".to_vec(),
            schema: Arc::clone(&schema),
            chunks: Vec::new(),
            indexes: Vec::new(),
        };

        writer.put_srefs();
        writer.put_integers(sample::TS, |row| Some(row.ts));
        writer.put_integers(sample::VALUE_INT, Row::integer);
        writer.put_exponents();
        writer.put_floats();
        writer.put_integers(sample::START_TS, |row| Some(row.start).filter(|v| *v != 0));
        writer.put_integers(sample::TTL, |row| Some(row.ttl).filter(|v| *v != 0));

        let Writer {
            bytes,
            chunks,
            indexes,
            ..
        } = writer;

        let count = i64::try_from(rows.len()).unwrap();
        let group = RowGroupMetaData::builder(Arc::clone(&schema))
            .set_num_rows(count)
            .set_column_metadata(chunks)
            .build()
            .unwrap();
        let file = FileMetaData::new(2, count, None, None, schema, None);
        let parsed = ParquetMetaDataBuilder::new(file)
            .add_row_group(group)
            .set_offset_index(Some(vec![indexes]))
            .build();

        Self { parsed, bytes }
    }

    /// Returns the file with only the pages that hold `wanted`.
    pub(super) fn file(&self, wanted: &GroupRows, lives: &[usize]) -> SparseFile {
        let mut pieces: Vec<_> = plan::pages(&self.parsed, wanted, lives)
            .into_iter()
            .map(|range| {
                let at = |offset| usize::try_from(offset).unwrap();
                let piece = &self.bytes[at(range.start)..at(range.end)];
                (range.start, Bytes::copy_from_slice(piece))
            })
            .collect();

        pieces.sort_by_key(|(start, _)| *start);
        SparseFile::of(self.bytes.len() as u64, pieces)
    }
}

struct Writer<'a> {
    rows: &'a [Row],
    form: Form,
    noise: &'a mut Noise,
    bytes: Vec<u8>,
    schema: Arc<SchemaDescriptor>,
    chunks: Vec<ColumnChunkMetaData>,
    indexes: Vec<OffsetIndexMetaData>,
}

/// Numbers of Parquet's encodings.
const PLAIN: i64 = 0;
const RLE: i64 = 3;
const DELTA_BINARY_PACKED: i64 = 5;
const RLE_DICTIONARY: i64 = 8;
const BYTE_STREAM_SPLIT: i64 = 9;

/// A page before compression.
struct TestPage {
    rows: usize,
    encoding: i64,
    body: Vec<u8>,
}

impl Writer<'_> {
    fn put_srefs(&mut self) {
        let body = vec![0; 4 * self.rows.len()];
        let pages = vec![TestPage {
            rows: self.rows.len(),
            encoding: PLAIN,
            body,
        }];
        self.put_chunk(sample::SREF, None, pages, true);
    }

    fn put_integers(&mut self, column: usize, value: impl Fn(&Row) -> Option<i64>) {
        let optional = column != sample::TS;
        let mut pages = Vec::new();
        let mut any = false;

        for rows in self.cut() {
            let all: Vec<Option<i64>> = rows.iter().map(&value).collect();
            let values: Vec<i64> = all.iter().copied().flatten().collect();
            let mut body = if optional {
                self.levels(&all)
            } else {
                Vec::new()
            };
            any |= !values.is_empty();

            let encoding = if self.noise.one_in(4) {
                body.extend(values.iter().flat_map(|v| v.to_le_bytes()));
                PLAIN
            } else {
                let shape = if self.noise.one_in(2) {
                    Shape::EXACT
                } else {
                    Shape::BYTES
                };
                body.extend(encode(&values, &shape));
                DELTA_BINARY_PACKED
            };

            pages.push(TestPage {
                rows: rows.len(),
                encoding,
                body,
            });
        }

        self.put_chunk(column, None, pages, any);
    }

    fn put_floats(&mut self) {
        let mut pages = Vec::new();

        for rows in self.cut() {
            let all: Vec<Option<f64>> = rows.iter().map(Row::float).collect();
            let values: Vec<[u8; 8]> = all.iter().flatten().map(|v| v.to_le_bytes()).collect();
            let mut body = self.levels(&all);

            let encoding = if self.noise.one_in(4) {
                body.extend(values.as_flattened());
                PLAIN
            } else {
                body.extend((0..8).flat_map(|byte| values.iter().map(move |v| v[byte])));
                BYTE_STREAM_SPLIT
            };

            pages.push(TestPage {
                rows: rows.len(),
                encoding,
                body,
            });
        }

        self.put_chunk(sample::VALUE, None, pages, true);
    }

    fn put_exponents(&mut self) {
        let mut dictionary: Vec<i32> = self.rows.iter().map(Row::exponent).collect();
        dictionary.sort_unstable();
        dictionary.dedup();
        let width = usize::BITS - (dictionary.len() - 1).leading_zeros();
        let mut pages = Vec::new();

        for rows in self.cut() {
            let indexes: Vec<usize> = rows
                .iter()
                .map(|row| dictionary.binary_search(&row.exponent()).unwrap())
                .collect();
            let mut body = vec![u8::try_from(width).unwrap()];
            body.extend(self.hybrid(&indexes, width));
            pages.push(TestPage {
                rows: rows.len(),
                encoding: RLE_DICTIONARY,
                body,
            });
        }

        let dictionary = TestPage {
            rows: dictionary.len(),
            encoding: PLAIN,
            body: dictionary.iter().flat_map(|v| v.to_le_bytes()).collect(),
        };
        self.put_chunk(sample::EXPONENT, Some(dictionary), pages, true);
    }

    /// Cuts the rows into pages.
    fn cut(&mut self) -> Vec<Vec<Row>> {
        let mut rest = self.rows;
        let mut pages = Vec::new();

        while !rest.is_empty() {
            let rows = rest.len().min(self.noise.below(self.form.page_rows) + 1);
            let (page, behind) = rest.split_at(rows);
            pages.push(page.to_vec());
            rest = behind;
        }

        pages
    }

    /// Encodes definition levels, with their length in front.
    fn levels<T>(&mut self, values: &[Option<T>]) -> Vec<u8> {
        let levels: Vec<usize> = values.iter().map(|v| usize::from(v.is_some())).collect();
        let runs = self.hybrid(&levels, 1);
        let mut body = u32::try_from(runs.len()).unwrap().to_le_bytes().to_vec();
        body.extend(runs);
        body
    }

    /// Encodes runs: each of equal values, or packed, as the noise says.
    fn hybrid(&mut self, values: &[usize], width: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = values;
        let packs = self.noise.below(3);

        while let Some(first) = rest.first() {
            let equal = rest.iter().take_while(|value| *value == first).count();
            let packed = packs == 0 || packs == 1 && equal < 8;

            if packed {
                let groups = rest.len().div_ceil(8).min(self.noise.below(20) + 1);
                let (group, behind) = rest.split_at(rest.len().min(groups * 8));
                put_unsigned(&mut out, (groups as u64) << 1 | 1);

                let padded = group.iter().chain([&0; 7]).take(groups * 8);
                out.extend(pack(
                    padded.flat_map(|v| (0..width).map(move |bit| v >> bit & 1 == 1)),
                ));
                rest = behind;
            } else {
                put_unsigned(&mut out, (equal as u64) << 1);
                out.extend(&first.to_le_bytes()[..width.div_ceil(8) as usize]);
                rest = &rest[equal..];
            }
        }

        out
    }

    fn put_chunk(
        &mut self,
        column: usize,
        dictionary: Option<TestPage>,
        pages: Vec<TestPage>,
        has_values: bool,
    ) {
        let start = self.bytes.len();
        let dictionary_at = dictionary.map(|page| {
            self.put_page(&page, true);
            i64::try_from(start).unwrap()
        });

        let first = self.bytes.len();
        let mut index = OffsetIndexBuilder::new();

        for page in pages {
            let range = self.put_page(&page, false);
            index.append_row_count(i64::try_from(page.rows).unwrap());
            index.append_offset_and_size(
                i64::try_from(range.start).unwrap(),
                i32::try_from(range.len()).unwrap(),
            );
        }

        let compression = if self.form.compressed {
            Compression::ZSTD(ZstdLevel::default())
        } else {
            Compression::UNCOMPRESSED
        };

        let mut chunk = ColumnChunkMetaData::builder(self.schema.column(column))
            .set_compression(compression)
            .set_num_values(i64::try_from(self.rows.len()).unwrap())
            .set_total_compressed_size(i64::try_from(self.bytes.len() - start).unwrap())
            .set_dictionary_page_offset(dictionary_at)
            .set_data_page_offset(i64::try_from(first).unwrap());
        if has_values {
            chunk = chunk.set_statistics(Statistics::int64(Some(0), Some(0), None, None, false));
        }

        self.chunks.push(chunk.build().unwrap());
        self.indexes.push(index.build());
    }

    /// Appends a page to the file and returns its bytes.
    fn put_page(&mut self, page: &TestPage, is_dictionary: bool) -> Range<usize> {
        let start = self.bytes.len();
        let stored = if self.form.compressed {
            zstd::bulk::compress(&page.body, 1).unwrap()
        } else {
            page.body.clone()
        };

        put_header(
            &mut self.bytes,
            page,
            stored.len(),
            is_dictionary,
            self.noise.one_in(3),
        );
        self.bytes.extend(stored);
        start..self.bytes.len()
    }
}

/// Appends a page header in Thrift's compact protocol.
fn put_header(
    out: &mut Vec<u8>,
    page: &TestPage,
    stored: usize,
    is_dictionary: bool,
    with_statistics: bool,
) {
    const INTEGER: u8 = 0x15;
    const STRUCT: u8 = 12;

    let integer = |out: &mut Vec<u8>, value: usize| {
        out.push(INTEGER);
        put_signed(out, i64::try_from(value).unwrap());
    };

    integer(out, if is_dictionary { 2 } else { 0 });
    integer(out, page.body.len());
    integer(out, stored);

    // Field 5 or 7, after field 3.
    out.push(if is_dictionary { 0x40 } else { 0x20 } | STRUCT);
    integer(out, page.rows);
    integer(out, usize::try_from(page.encoding).unwrap());

    if is_dictionary {
        // Field 3, true.
        out.push(0x11);
    } else {
        integer(out, usize::try_from(RLE).unwrap());
        integer(out, usize::try_from(RLE).unwrap());

        if with_statistics {
            // Field 5 is a struct: fields 1 and 2 are bytes, 3 an integer, 7 a bool.
            out.extend([0x1c, 0x18, 2, 7, 7, 0x18, 0, 0x16, 9, 0x41, 0]);
        }
    }

    out.extend([0, 0]);
}
