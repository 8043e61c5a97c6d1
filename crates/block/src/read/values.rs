//! The values of a page, in the encodings that the pages of samples use.

use parquet::errors::Result;

use crate::read::column::PageValues;
use crate::read::delta::DeltaDecoder;
use crate::read::page_header::Encoding;
use crate::read::pages::Page;
use crate::read::runs::Runs;
use crate::read::varint::malformed;

/// Integers of 64 bits: DELTA_BINARY_PACKED or PLAIN.
#[derive(Debug)]
pub(crate) enum Integers<'a> {
    Delta(Box<DeltaDecoder<'a>>),
    Plain(&'a [[u8; 8]]),
}

/// Floats of 64 bits: BYTE_STREAM_SPLIT or PLAIN.
#[derive(Debug)]
pub(crate) enum Floats<'a> {
    /// The eight streams, and the number of the next value.
    Split([&'a [u8]; 8], usize),
    Plain(&'a [[u8; 8]]),
}

/// Integers of 32 bits: indexes of a dictionary.
#[derive(Debug)]
pub(crate) struct Indexed<'a> {
    dictionary: &'a [[u8; 4]],
    indexes: Runs<'a>,
}

/// Values that nobody needs: only which rows have one.
#[derive(Debug)]
pub(crate) struct Unread;

impl PageValues<'_> for Unread {
    fn open(_: &Page<'_>, _: usize) -> Result<Self> {
        Ok(Self)
    }

    fn skip(&mut self, _: usize) -> Result<()> {
        Ok(())
    }
}

impl<'a> PageValues<'a> for Integers<'a> {
    fn open(page: &Page<'a>, values: usize) -> Result<Self> {
        match page.encoding {
            Encoding::DeltaBinaryPacked => {
                DeltaDecoder::new(page.values, values).map(|delta| Self::Delta(Box::new(delta)))
            }
            Encoding::Plain => plain(page.values, values).map(Self::Plain),
            _ => Err(unknown()),
        }
    }

    fn skip(&mut self, values: usize) -> Result<()> {
        self.visit(values, |_| ())
    }
}

impl Integers<'_> {
    /// Passes the next `values` values to `visit`, some at a time.
    #[inline]
    pub(crate) fn visit(&mut self, values: usize, mut visit: impl FnMut(&[i64])) -> Result<()> {
        match self {
            Self::Delta(delta) => delta.visit(values, visit),
            Self::Plain(words) => {
                for some in take(words, values)?.chunks(32) {
                    let mut out = [0; 32];
                    for (out, word) in out.iter_mut().zip(some) {
                        *out = i64::from_le_bytes(*word);
                    }

                    visit(&out[..some.len()]);
                }

                Ok(())
            }
        }
    }

    /// Appends the next `values` values to `out`.
    pub(crate) fn read(&mut self, values: usize, out: &mut Vec<i64>) -> Result<()> {
        self.visit(values, |values| out.extend_from_slice(values))
    }
}

impl<'a> PageValues<'a> for Floats<'a> {
    fn open(page: &Page<'a>, values: usize) -> Result<Self> {
        match page.encoding {
            Encoding::ByteStreamSplit => {
                let words = plain::<8>(page.values, values)?.as_flattened();
                let stream = |i: usize| &words[i * values..(i + 1) * values];
                Ok(Self::Split(std::array::from_fn(stream), 0))
            }
            Encoding::Plain => plain(page.values, values).map(Self::Plain),
            _ => Err(unknown()),
        }
    }

    fn skip(&mut self, values: usize) -> Result<()> {
        match self {
            Self::Split(_, at) => *at += values,
            Self::Plain(words) => drop(take(words, values)?),
        }

        Ok(())
    }
}

impl Floats<'_> {
    /// Appends the next `values` values to `out`.
    pub(crate) fn read(&mut self, values: usize, out: &mut Vec<f64>) -> Result<()> {
        match self {
            Self::Split(streams, at) => {
                let mut parts = [&[][..]; 8];
                for (part, stream) in parts.iter_mut().zip(streams) {
                    *part = stream.get(*at..*at + values).ok_or_else(too_few)?;
                }

                *at += values;
                join_streams(parts, out);
            }
            Self::Plain(words) => {
                let words = take(words, values)?;
                out.extend(words.iter().map(|word| f64::from_le_bytes(*word)));
            }
        }

        Ok(())
    }
}

impl<'a> PageValues<'a> for Indexed<'a> {
    fn open(page: &Page<'a>, values: usize) -> Result<Self> {
        let (dictionary, odd) = page.dictionary.as_chunks();
        if page.encoding != Encoding::Dictionary || !odd.is_empty() {
            return Err(unknown());
        }

        let (width, indexes) = match page.values.split_first() {
            Some((width, indexes)) => (u32::from(*width), indexes),
            None => (0, page.values),
        };

        Ok(Self {
            dictionary,
            indexes: Runs::new(indexes, width, values)?,
        })
    }

    fn skip(&mut self, values: usize) -> Result<()> {
        self.indexes.sum(values).map(drop)
    }
}

impl Indexed<'_> {
    /// Returns the next value, and for how many values, at least one, it stays the same.
    #[inline]
    pub(crate) fn peek(&mut self) -> Result<(i32, usize)> {
        let (index, length) = self.indexes.peek()?;
        let value = self.dictionary.get(index as usize);
        let absent = || malformed("an index is not in its dictionary");
        Ok((i32::from_le_bytes(*value.ok_or_else(absent)?), length))
    }

    /// Leaves out values of the run that [`Indexed::peek`] returned.
    #[inline]
    pub(crate) fn pass(&mut self, values: usize) {
        self.indexes.pass(values);
    }
}

/// Returns the `values` words of `N` bytes that `bytes` must have.
fn plain<const N: usize>(bytes: &[u8], values: usize) -> Result<&[[u8; N]]> {
    let (words, odd) = bytes.as_chunks();
    if words.len() != values || !odd.is_empty() {
        return Err(malformed(
            "a page has another number of bytes than its values take",
        ));
    }

    Ok(words)
}

/// Takes `count` elements off the front.
fn take<'a, T>(all: &mut &'a [T], count: usize) -> Result<&'a [T]> {
    let (taken, rest) = all.split_at_checked(count).ok_or_else(too_few)?;
    *all = rest;
    Ok(taken)
}

/// Appends the floats whose byte `i` is in stream `i`. The streams have the same length.
fn join_streams(streams: [&[u8]; 8], out: &mut Vec<f64>) {
    let values = streams[0].len();
    let eights = streams.map(|stream| stream.as_chunks::<8>().0);
    out.reserve(values);

    for i in 0..values / 8 {
        let rows = eights.map(|eights| u64::from_le_bytes(eights[i]));
        out.extend(transpose(rows).map(f64::from_bits));
    }

    for i in values / 8 * 8..values {
        out.push(f64::from_le_bytes(streams.map(|stream| stream[i])));
    }
}

/// Transposes a matrix of 8 by 8 bytes: byte `i` of word `j` becomes byte `j` of word `i`.
#[inline]
fn transpose(mut words: [u64; 8]) -> [u64; 8] {
    for (distance, mask) in [
        (4, 0x0000_0000_ffff_ffff),
        (2, 0x0000_ffff_0000_ffff),
        (1, 0x00ff_00ff_00ff_00ff),
    ] {
        let shift = distance * 8;

        for i in (0..8).filter(|i| i & distance == 0) {
            let low = words[i];
            let high = words[i + distance];
            words[i] = low & mask | (high & mask) << shift;
            words[i + distance] = low >> shift & mask | high & !mask;
        }
    }

    words
}

fn unknown() -> parquet::errors::ParquetError {
    malformed("a page has an encoding that its column does not use")
}

fn too_few() -> parquet::errors::ParquetError {
    malformed("a page has fewer values than rows")
}
