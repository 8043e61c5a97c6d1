//! Encodes integers as Parquet's DELTA_BINARY_PACKED: each is its difference to the one before, in
//! as few bits as its neighbours need.
//!
//! A page of it is a header and blocks of [`BLOCK`] differences. A block says its minimum and the
//! width of each miniblock of [`MINIBLOCK`] differences; the differences are stored above the
//! minimum. The library's encoder has blocks of 256 and miniblocks of 64, and one outlier, such as
//! the step from one series to the next, widens all differences of a miniblock. If it is a step
//! down, it lowers the minimum and widens the whole block. Here a difference may be below the
//! minimum: it wraps around, as the format says of all its arithmetic, and widens its own miniblock
//! alone.

use crate::write::runs::push_varint;

/// The differences of a block.
const BLOCK: usize = 128;
/// The differences of a miniblock, which have one width.
const MINIBLOCK: usize = 32;
const MINIBLOCKS: usize = BLOCK / MINIBLOCK;

/// The minima that [`Shape::Canonical`] prefers, best first.
const MINIMA: [i64; 5] = [0, -(1 << 7), -(1 << 15), -(1 << 31), i64::MIN];

/// How the widths and the minimum of a block are chosen. A reader does not know which it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The minimum is the difference that makes the widths smallest. This is best for noise.
    Exact,
    /// The widths are whole bytes, and the minimum is one of a short list unless the smallest
    /// difference needs fewer bytes. Equal differences are equal bytes this way, so this is best
    /// for what repeats and is compressed afterwards.
    Canonical,
}

/// An integer of a Parquet column.
pub(crate) trait Integer: Copy {
    fn widened(self) -> i64;

    /// The difference to `before`, which wraps around at the width of the type.
    fn minus(self, before: Self) -> i64;
}

impl Integer for i64 {
    fn widened(self) -> i64 {
        self
    }

    fn minus(self, before: Self) -> i64 {
        self.wrapping_sub(before)
    }
}

impl Integer for i32 {
    fn widened(self) -> i64 {
        self.into()
    }

    fn minus(self, before: Self) -> i64 {
        self.wrapping_sub(before).into()
    }
}

/// Appends the encoding of `values` to `out`.
pub(crate) fn encode<T: Integer>(shape: Shape, values: &[T], out: &mut Vec<u8>) {
    push_varint(BLOCK as u64, out);
    push_varint(MINIBLOCKS as u64, out);
    push_varint(values.len() as u64, out);
    push_zigzag(values.first().map_or(0, |first| first.widened()), out);

    let mut deltas = [0i64; BLOCK];
    let mut before = values;

    while let Some((_, after)) = before.split_first().filter(|(_, after)| !after.is_empty()) {
        let count = after.len().min(BLOCK);

        for ((delta, value), previous) in deltas.iter_mut().zip(after).zip(before) {
            *delta = value.minus(*previous);
        }

        encode_block(shape, &deltas[..count], out);
        before = &before[count..];
    }
}

fn encode_block(shape: Shape, deltas: &[i64], out: &mut Vec<u8>) {
    let spans = Spans::of(deltas);
    let (minimum, widths) = match shape {
        Shape::Exact => spans.exact(),
        Shape::Canonical => spans.canonical(),
    };

    push_zigzag(minimum, out);
    out.extend(widths);

    for (part, width) in deltas.chunks(MINIBLOCK).zip(widths) {
        // A miniblock that is not full ends with zeros.
        let mut above = [0u64; MINIBLOCK];
        for (above, delta) in above.iter_mut().zip(part) {
            *above = delta.wrapping_sub(minimum).cast_unsigned();
        }

        PACKERS[usize::from(width)](&above, out);
    }
}

type Widths = [u8; MINIBLOCKS];

/// The smallest and the largest difference of each miniblock that has one.
struct Spans([Option<(i64, i64)>; MINIBLOCKS]);

impl Spans {
    fn of(deltas: &[i64]) -> Self {
        let mut spans = [None; MINIBLOCKS];

        for (part, span) in deltas.chunks(MINIBLOCK).zip(&mut spans) {
            let mut low = i64::MAX;
            let mut high = i64::MIN;

            for &delta in part {
                low = low.min(delta);
                high = high.max(delta);
            }

            *span = Some((low, high));
        }

        Self(spans)
    }

    /// Returns the bits that each miniblock needs above `minimum`. A miniblock without differences
    /// has 0. One with a difference below `minimum` has 64: the difference wraps around.
    fn widths(&self, minimum: i64) -> Widths {
        self.0.map(|span| match span {
            None => 0,
            Some((low, _)) if low < minimum => 64,
            Some((_, high)) => {
                let above = high.wrapping_sub(minimum).cast_unsigned();
                #[expect(clippy::cast_possible_truncation, reason = "at most 64")]
                let width = (64 - above.leading_zeros()) as u8;
                width
            }
        })
    }

    /// The smallest difference of each miniblock. One of them is the best minimum: a large step
    /// down, such as that to another series, then widens its own miniblock alone.
    fn minima(&self) -> impl Iterator<Item = i64> + '_ {
        self.0.iter().flatten().map(|(low, _)| *low)
    }

    /// Returns the minimum and the widths of [`Shape::Exact`].
    fn exact(&self) -> (i64, Widths) {
        smallest(self.minima().map(|minimum| (minimum, self.widths(minimum))))
    }

    /// Returns the minimum and the widths of [`Shape::Canonical`].
    ///
    /// The smallest difference of a miniblock is no choice here, although its widths may be
    /// smaller: it is another one in each block, so equal differences would not be equal bytes.
    fn canonical(&self) -> (i64, Widths) {
        let minima = MINIMA.into_iter().chain(self.minima().min());

        smallest(minima.map(|minimum| {
            let widths = self.widths(minimum);
            (minimum, widths.map(|width| width.next_multiple_of(8)))
        }))
    }
}

/// Returns the first of `choices` with the fewest bits.
fn smallest(choices: impl Iterator<Item = (i64, Widths)>) -> (i64, Widths) {
    let bits = |widths: &Widths| widths.iter().map(|width| u32::from(*width)).sum::<u32>();
    let choice = choices.min_by_key(|(_, widths)| bits(widths));
    choice.unwrap_or((0, [0; MINIBLOCKS]))
}

/// Appends a miniblock of integers that have at most `WIDTH` bits.
fn pack<const WIDTH: usize>(values: &[u64; MINIBLOCK], out: &mut Vec<u8>) {
    let mut words = [0u64; MINIBLOCK + 1];

    for (index, &value) in values.iter().enumerate() {
        let bit = index * WIDTH;
        let word = bit / 64;
        let shift = bit % 64;

        words[word] |= value << shift;

        if shift + WIDTH > 64 {
            words[word + 1] = value >> (64 - shift);
        }
    }

    let mut bytes = [[0u8; 8]; MINIBLOCK];
    for (bytes, word) in bytes.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }

    out.extend_from_slice(&bytes.as_flattened()[..MINIBLOCK / 8 * WIDTH]);
}

type Packer = fn(&[u64; MINIBLOCK], &mut Vec<u8>);

macro_rules! packers {
    ($($width:literal)*) => {
        [$(pack::<$width>),*]
    };
}

/// [`pack`] of each width.
static PACKERS: [Packer; 65] = packers!(
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
    33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64
);

fn push_zigzag(value: i64, out: &mut Vec<u8>) {
    push_varint(((value << 1) ^ (value >> 63)).cast_unsigned(), out);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use parquet::basic::{Encoding, Repetition, Type as Physical};
    use parquet::column::page::{Page, PageMetadata, PageReader};
    use parquet::column::reader::{get_column_reader, get_typed_column_reader};
    use parquet::data_type::{DataType, Int32Type, Int64Type};
    use parquet::errors::Result;
    use parquet::schema::types::{ColumnDescriptor, ColumnPath, Type};
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    const SHAPES: [Shape; 2] = [Shape::Exact, Shape::Canonical];

    /// One page, for the library's reader.
    struct OnePage(Option<Page>);

    impl Iterator for OnePage {
        type Item = Result<Page>;

        fn next(&mut self) -> Option<Result<Page>> {
            self.0.take().map(Ok)
        }
    }

    impl PageReader for OnePage {
        fn get_next_page(&mut self) -> Result<Option<Page>> {
            Ok(self.0.take())
        }

        fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
            Ok(None)
        }

        fn skip_next_page(&mut self) -> Result<()> {
            Ok(())
        }
    }

    /// Decodes `encoded` by the library.
    fn decode<T: DataType>(physical: Physical, encoded: Vec<u8>, count: usize) -> Vec<T::T> {
        let page = Page::DataPage {
            buf: Bytes::from(encoded),
            num_values: u32::try_from(count).unwrap(),
            encoding: Encoding::DELTA_BINARY_PACKED,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };

        let leaf = Type::primitive_type_builder("x", physical)
            .with_repetition(Repetition::REQUIRED)
            .build()
            .unwrap();
        let column = ColumnDescriptor::new(Arc::new(leaf), 0, 0, ColumnPath::from("x"));
        let reader = get_column_reader(Arc::new(column), Box::new(OnePage(Some(page))));

        let mut out = Vec::new();
        let mut reader = get_typed_column_reader::<T>(reader);
        reader.read_records(count, None, None, &mut out).unwrap();
        out
    }

    #[track_caller]
    fn same(values: &[i64], what: &str) {
        for shape in SHAPES {
            let mut encoded = Vec::new();
            encode(shape, values, &mut encoded);
            assert_eq!(
                decode::<Int64Type>(Physical::INT64, encoded, values.len()),
                values,
                "{what} {shape:?}"
            );
        }
    }

    /// Returns values whose differences are `deltas`.
    fn sums(first: i64, deltas: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let mut at = first;
        let rest = deltas.into_iter().map(|delta| {
            at = at.wrapping_add(delta);
            at
        });

        std::iter::once(first).chain(rest).collect()
    }

    #[test]
    fn the_library_reads_every_width_and_length() {
        let mut random = StdRng::seed_from_u64(1);

        for width in 0..=64u32 {
            let mask = u64::MAX.checked_shr(64 - width).unwrap_or(0);

            for length in [0, 1, 2, 31, 32, 33, 34, 127, 128, 129, 130, 257, 1000] {
                let minimum = random.random::<i64>() >> random.random_range(0..64);
                let deltas = (1..length)
                    .map(|_| minimum.wrapping_add((random.random::<u64>() & mask) as i64));
                let mut values = sums(-5, deltas.collect::<Vec<_>>());
                values.truncate(length);
                same(&values, &format!("width {width}, {length} values"));
            }
        }
    }

    #[test]
    fn the_library_reads_extreme_and_mixed_values() {
        let mut random = StdRng::seed_from_u64(2);
        let edges = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];

        for length in [1, 2, 31, 32, 33, 127, 128, 129, 130, 6000] {
            let edge = (0..length).map(|_| edges[random.random_range(0..edges.len())]);
            same(&edge.collect::<Vec<_>>(), "edges");

            let any = (0..length).map(|_| random.random::<i64>() >> random.random_range(0..64));
            same(&any.collect::<Vec<_>>(), "of any width");

            let up = (0..i64::from(length)).map(|t| 1_700_000_000_000 + t * 15_000);
            same(&up.collect::<Vec<_>>(), "a clock");
        }
    }

    #[test]
    fn the_library_reads_small_integers_that_wrap_around() {
        let mut random = StdRng::seed_from_u64(3);

        for shape in SHAPES {
            for length in [0, 1, 2, 33, 129, 6000] {
                let values: Vec<i32> = (0..length)
                    .map(|i| match i % 3 {
                        0 => i32::MIN + i,
                        1 => i32::MAX - i,
                        _ => random.random::<i32>() >> random.random_range(0..32),
                    })
                    .collect();

                let mut encoded = Vec::new();
                encode(shape, &values, &mut encoded);
                let read = decode::<Int32Type>(Physical::INT32, encoded, values.len());
                assert_eq!(read, values, "{shape:?} {length}");
            }
        }
    }

    /// Returns the encoding of differences, without the header of the page.
    fn block(shape: Shape, deltas: &[i64]) -> Vec<u8> {
        let mut out = Vec::new();
        encode_block(shape, deltas, &mut out);
        out
    }

    #[test]
    fn canonical_blocks_have_a_minimum_of_the_list_if_it_costs_no_byte() {
        for (deltas, minimum, width) in [
            (vec![100, 101, 100], 0, 8),
            (vec![-3, 4, 0], -128, 8),
            (vec![-3, 200, 0], -3, 8),
            (vec![-3, 400, 0], -128, 16),
            (vec![-300, 400, 0], -32_768, 16),
            (vec![100; 128], 100, 0),
        ] {
            let (found, widths) = Spans::of(&deltas).canonical();
            assert_eq!((found, widths), (minimum, [width, 0, 0, 0]), "{deltas:?}");
        }
    }

    #[test]
    fn a_step_down_widens_its_miniblock_alone() {
        let mut deltas = [5i64; 128];
        deltas[40] = -1_000_000_000;
        deltas[100] = 6;

        assert_eq!(Spans::of(&deltas).exact(), (5, [0, 64, 0, 1]));
        assert_eq!(Spans::of(&deltas).canonical(), (0, [8, 64, 8, 8]));
        same(&sums(7, deltas), "a step down");
    }

    #[test]
    fn equal_differences_are_equal_bytes_in_canonical_blocks() {
        let one = block(Shape::Canonical, &[7, -1, 3, 90]);
        let other = block(Shape::Canonical, &[7, -1, 3, 11]);
        assert_eq!(one[..9], other[..9]);
    }
}
