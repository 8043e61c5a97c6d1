use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Encoding, Repetition, Type as Physical};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::{get_column_reader, get_typed_column_reader};
use parquet::data_type::Int64Type;
use parquet::errors::ParquetError;
use parquet::schema::types::{SchemaDescriptor, Type};
use proptest::prelude::*;

use super::*;

/// How the generator below lays out a column.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) block: usize,
    pub(crate) miniblocks: usize,
    /// Widths are rounded up to a multiple of this, or to 64 if `wide`.
    pub(crate) round_to: u32,
    /// The smallest delta is written smaller by this much.
    pub(crate) below: u64,
    /// The width that the last block claims for miniblocks without values.
    pub(crate) unused_width: u8,
    /// Whether the last miniblock is padded, as the format says.
    pub(crate) padded: bool,
}

impl Shape {
    pub(crate) const EXACT: Self = Self {
        block: 128,
        miniblocks: 4,
        round_to: 1,
        below: 0,
        unused_width: 0,
        padded: true,
    };
    pub(crate) const BYTES: Self = Self {
        round_to: 8,
        below: 100,
        ..Self::EXACT
    };
}

/// Encodes `values` in `shape`. It is a second, naive reading of the format.
pub(crate) fn encode(values: &[i64], shape: &Shape) -> Vec<u8> {
    let mut out = Vec::new();
    put_unsigned(&mut out, shape.block as u64);
    put_unsigned(&mut out, shape.miniblocks as u64);
    put_unsigned(&mut out, values.len() as u64);
    put_signed(&mut out, values.first().copied().unwrap_or(0));

    let deltas: Vec<i64> = values
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect();

    for block in deltas.chunks(shape.block) {
        let smallest = block.iter().copied().min().unwrap();
        let smallest = smallest.wrapping_sub_unsigned(shape.below);
        let packed: Vec<u64> = block
            .iter()
            .map(|delta| delta.wrapping_sub(smallest).cast_unsigned())
            .collect();
        let miniblocks: Vec<&[u64]> = packed.chunks(shape.block / shape.miniblocks).collect();
        let widths: Vec<u32> = miniblocks
            .iter()
            .map(|values| {
                let widest = values.iter().map(|v| 64 - v.leading_zeros()).max().unwrap();
                widest.next_multiple_of(shape.round_to).min(64)
            })
            .collect();

        put_signed(&mut out, smallest);
        out.extend(widths.iter().map(|width| u8::try_from(*width).unwrap()));
        out.resize(
            out.len() + shape.miniblocks - widths.len(),
            shape.unused_width,
        );

        for (values, width) in miniblocks.iter().zip(&widths) {
            let bits = values
                .iter()
                .flat_map(|value| (0..*width).map(move |bit| value >> bit & 1 == 1));
            let mut bytes = pack(bits);
            if shape.padded {
                let full = shape.block / shape.miniblocks * *width as usize / 8;
                bytes.resize(full, 0);
            }

            out.extend(bytes);
        }
    }

    out
}

/// Packs bits, the lowest bit of a byte first.
pub(crate) fn pack(bits: impl Iterator<Item = bool>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (i, bit) in bits.enumerate() {
        if i % 8 == 0 {
            bytes.push(0);
        }

        *bytes.last_mut().unwrap() |= u8::from(bit) << (i % 8);
    }

    bytes
}

pub(crate) fn put_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }

    out.push(u8::try_from(value).unwrap());
}

pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_unsigned(out, (value << 1 ^ value >> 63).cast_unsigned());
}

/// Decodes `encoded` with the decoder of the library.
fn by_library(encoded: &[u8], values: usize) -> std::result::Result<Vec<i64>, ParquetError> {
    let field = Type::primitive_type_builder("c", Physical::INT64)
        .with_repetition(Repetition::REQUIRED)
        .build()?;
    let schema = Type::group_type_builder("s")
        .with_fields(vec![Arc::new(field)])
        .build()?;
    let column = SchemaDescriptor::new(Arc::new(schema)).column(0);
    let page = Page::DataPage {
        buf: Bytes::copy_from_slice(encoded),
        num_values: u32::try_from(values).unwrap(),
        encoding: Encoding::DELTA_BINARY_PACKED,
        def_level_encoding: Encoding::RLE,
        rep_level_encoding: Encoding::RLE,
        statistics: None,
    };

    let reader = get_column_reader(column, Box::new(OnePage(Some(page))));
    let mut reader = get_typed_column_reader::<Int64Type>(reader);
    let mut out = Vec::new();
    reader.read_records(values, None, None, &mut out)?;
    Ok(out)
}

struct OnePage(Option<Page>);

impl Iterator for OnePage {
    type Item = std::result::Result<Page, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageReader for OnePage {
    fn get_next_page(&mut self) -> std::result::Result<Option<Page>, ParquetError> {
        Ok(self.0.take())
    }

    fn peek_next_page(&mut self) -> std::result::Result<Option<PageMetadata>, ParquetError> {
        Ok(None)
    }

    fn skip_next_page(&mut self) -> std::result::Result<(), ParquetError> {
        self.0 = None;
        Ok(())
    }
}

fn decode(encoded: &[u8], values: usize) -> Result<Vec<i64>> {
    let mut out = Vec::new();
    DeltaDecoder::new(encoded, values)?.visit(values, |some| out.extend_from_slice(some))?;
    Ok(out)
}

/// A pseudo-random sequence.
fn noise(seed: u64) -> impl Iterator<Item = u64> {
    (seed..).map(|i| {
        let mut bits = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    })
}

/// Returns `count` values whose deltas, less the smallest, have up to `width` bits.
fn of_width(width: u32, count: usize, seed: u64) -> Vec<i64> {
    let mask = u64::MAX.checked_shr(64 - width).unwrap_or(0);
    let mut last = noise(seed).next().unwrap().cast_signed();

    noise(seed + 1)
        .take(count)
        .map(|delta| {
            last = last.wrapping_add_unsigned(delta & mask).wrapping_sub(77);
            last
        })
        .collect()
}

/// Checks that both decoders agree, and ours whatever the cuts between two reads and skips.
fn check(values: &[i64], shape: &Shape) {
    let encoded = encode(values, shape);
    assert_eq!(by_library(&encoded, values.len()).unwrap(), values);
    assert_eq!(decode(&encoded, values.len()).unwrap(), values, "{shape:?}");

    for step in [1, 31, 33, 100] {
        let mut decoder = DeltaDecoder::new(&encoded, values.len()).unwrap();
        let mut out = Vec::new();

        for (i, part) in values.chunks(step).enumerate() {
            if i % 2 == 0 {
                out.clear();
                decoder
                    .visit(part.len(), |some| out.extend_from_slice(some))
                    .unwrap();
                assert_eq!(out, part, "step {step}, {shape:?}");
            } else {
                decoder.visit(part.len(), |_| ()).unwrap();
            }
        }

        assert!(decoder.visit(1, |_| ()).is_err());
    }
}

fn shapes() -> Vec<Shape> {
    let mut shapes = vec![Shape::EXACT, Shape::BYTES];

    for (block, miniblocks) in [
        (256, 4),
        (128, 1),
        (128, 2),
        (1024, 32),
        (384, 3),
        (2048, 1),
    ] {
        shapes.push(Shape {
            block,
            miniblocks,
            round_to: 3,
            below: 1,
            unused_width: 255,
            padded: false,
        });
    }

    shapes
}

#[test]
fn both_decoders_agree_at_every_width() {
    for width in 0..=64 {
        for shape in shapes() {
            check(&of_width(width, 300, u64::from(width)), &shape);
        }
    }
}

#[test]
fn both_decoders_agree_at_every_length() {
    for count in (1..=70)
        .chain(125..=135)
        .chain(253..=260)
        .chain([511, 512, 513])
    {
        for width in [0, 1, 13, 64] {
            for shape in shapes() {
                check(&of_width(width, count, count as u64), &shape);
            }
        }
    }
}

#[test]
fn a_page_without_values_may_be_empty() {
    assert!(decode(&[], 0).unwrap().is_empty());
    assert!(decode(&encode(&[], &Shape::EXACT), 0).unwrap().is_empty());
}

#[test]
fn headers_that_claim_too_much_are_refused() {
    let header = |block, miniblocks, values| {
        let mut bytes = Vec::new();
        for value in [block, miniblocks, values, 0] {
            put_unsigned(&mut bytes, value);
        }

        bytes.resize(bytes.len() + 1000, 0);
        bytes
    };

    assert_eq!(decode(&header(128, 4, 200), 200).unwrap(), [0; 200]);

    for (block, miniblocks, values) in [
        (128, 4, 1 << 63),
        (128, 4, 199),
        (128, 0, 200),
        (0, 4, 200),
        (0, 0, 200),
        (128, 3, 200),
        (128, 8, 200),
        (100, 1, 200),
        (1 << 63, 1 << 58, 200),
        (1 << 63, 3, 200),
        (u64::MAX, u64::MAX, 200),
    ] {
        let encoded = header(block, miniblocks, values);
        assert!(
            decode(&encoded, 200).is_err(),
            "{block} {miniblocks} {values}"
        );
    }

    // A huge miniblock of width 0 takes no bytes: it is legal.
    assert_eq!(decode(&header(1 << 63, 1, 200), 200).unwrap(), [0; 200]);
}

#[test]
fn a_width_over_64_and_a_cut_page_are_refused() {
    let values = of_width(20, 200, 1);
    let mut encoded = encode(&values, &Shape::EXACT);

    // The last miniblock has 80 bytes. Its 7 values are in the first 18; the rest is padding.
    for length in 0..encoded.len() {
        let whole = length >= encoded.len() - 80 + 18;
        assert_eq!(decode(&encoded[..length], 200).is_ok(), whole, "{length}");
    }

    let widths = encoded.windows(4).position(|w| w == [20; 4]).unwrap();
    for width in [65, 128, 255] {
        encoded[widths] = width;
        assert!(decode(&encoded, 200).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_columns_of_random_shape_agree(
        parts in prop::collection::vec((0..=64u32, 1..300usize, any::<u64>()), 1..8),
        shape in (1..5usize, 0..3u32, 1..=64u32, any::<u64>(), any::<u8>(), any::<bool>()),
    ) {
        let values: Vec<i64> = parts
            .into_iter()
            .flat_map(|(width, count, seed)| of_width(width, count, seed >> 1))
            .collect();
        let (blocks, halvings, round_to, below, unused_width, padded) = shape;

        check(&values, &Shape {
            block: 128 * blocks,
            miniblocks: 1 << halvings,
            round_to,
            below,
            unused_width,
            padded,
        });
    }
}
