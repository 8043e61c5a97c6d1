//! The row groups of `histograms.parquet`.

use std::iter::Zip;
use std::{slice, vec};

use duramen_model::{Counts, Histogram, Span};
use duramen_source::HistogramRef;
use parquet::basic::Encoding;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::errors::Result;
use parquet::schema::types::TypePtr;

use crate::layout::file_names::HISTOGRAMS_FILE;
use crate::layout::reset_hint;
use crate::layout::schema;
use crate::write::encode::{Chunk, Recipe};
use crate::write::levels::{Lists, Optional};
use crate::write::options::WriterOptions;
use crate::write::row_groups::GroupsWriter;
use crate::write::rows_file::RowGroup;

/// A row group ends when the byte forms of its histograms have this many bytes, or at the rows of
/// the options. They take about 0.6 times as many bytes in the file. A row group is read as a whole
/// by one GET, because the columns are many and small.
const GROUP_BYTES_MAX: usize = 192 << 10;

/// A row group of native histograms, each with its series.
pub(crate) struct HistogramsGroup {
    recipes: Recipes,
    buffer: Buffer,
}

/// The histograms of one series, each with its decoded form.
pub(crate) type HistogramRows<'a> =
    Zip<slice::Iter<'a, HistogramRef<'a>>, vec::IntoIter<Histogram>>;

struct Recipes {
    /// Whole numbers whose smallest and largest are in the footer.
    bounded: Recipe,
    /// Whole numbers that differ little from their neighbours.
    integer: Recipe,
    /// Floats that differ in their lower bits.
    float: Recipe,
    /// Numbers and lists that repeat, so the compression finds them. Deltas repeat in part.
    same: Recipe,
    hint: Recipe,
}

/// The rows of the row group that is being filled.
#[derive(Default)]
struct Buffer {
    sref: Vec<i32>,
    ts: Vec<i64>,
    start_ts: Optional<Int64Type>,
    ttl: Optional<Int64Type>,
    schema: Vec<i32>,
    hint: Vec<ByteArray>,
    sum: Vec<f64>,
    zero_threshold: Vec<f64>,
    count_int: Optional<Int64Type>,
    zero_count_int: Optional<Int64Type>,
    count: Optional<DoubleType>,
    zero_count: Optional<DoubleType>,
    positive: Side,
    negative: Side,
    custom_values: Lists<DoubleType>,
    /// The size of the byte forms.
    bytes: usize,
}

/// The positive or the negative buckets.
#[derive(Default)]
struct Side {
    offsets: Lists<Int32Type>,
    lengths: Lists<Int32Type>,
    deltas: Lists<Int64Type>,
    counts: Lists<DoubleType>,
}

impl RowGroup for HistogramsGroup {
    const FILE: &'static str = HISTOGRAMS_FILE;

    type Rows<'a> = HistogramRows<'a>;

    fn schema() -> Result<TypePtr> {
        schema::histograms()
    }

    fn new(options: &WriterOptions) -> Result<Self> {
        let level = options.zstd_level;
        let encoded = |encoding| Recipe::encoded(level, usize::MAX, encoding);

        let recipes = Recipes {
            bounded: encoded(Encoding::DELTA_BINARY_PACKED)?.with_statistics(),
            integer: encoded(Encoding::DELTA_BINARY_PACKED)?,
            float: encoded(Encoding::BYTE_STREAM_SPLIT)?,
            same: encoded(Encoding::PLAIN)?,
            hint: Recipe::dictionary(level, usize::MAX)?,
        };

        Ok(Self {
            recipes,
            buffer: Buffer::default(),
        })
    }

    fn count(rows: &HistogramRows<'_>) -> usize {
        rows.len()
    }

    fn take(&mut self, sref: u32, rows: &mut HistogramRows<'_>, _rows_max: usize) -> usize {
        let Some((encoded, histogram)) = rows.next() else {
            return 0;
        };

        self.buffer.push(sref, encoded, histogram);
        1
    }

    fn rows(&self) -> usize {
        self.buffer.ts.len()
    }

    fn is_full(&self, _in_series: bool) -> bool {
        self.buffer.bytes >= GROUP_BYTES_MAX
    }

    fn encode(&mut self, file: &GroupsWriter) -> Result<Vec<Chunk>> {
        std::mem::take(&mut self.buffer).encode(&self.recipes, file)
    }
}

impl Buffer {
    fn push(&mut self, sref: u32, encoded: &HistogramRef<'_>, histogram: Histogram) {
        let HistogramRef { ts_ms, life, bytes } = encoded;
        let unless_zero = |number: i64| Some(number).filter(|number| *number != 0);

        self.sref.push(sref.cast_signed());
        self.ts.push(*ts_ms);
        self.start_ts.push(unless_zero(life.start_ms));
        self.ttl.push(unless_zero(life.ttl_ms));
        self.bytes += bytes.len();

        let Histogram {
            schema,
            hint,
            sum,
            zero_threshold,
            counts,
            positive_spans,
            negative_spans,
            custom_values,
        } = histogram;

        self.schema.push(schema);
        self.hint.push(reset_hint::text(hint).into());
        self.sum.push(sum);
        self.zero_threshold.push(zero_threshold);
        self.positive.push_spans(&positive_spans);
        self.negative.push_spans(&negative_spans);
        self.custom_values.push(custom_values);

        let (integers, floats) = match counts {
            Counts::Integer {
                count,
                zero_count,
                positive,
                negative,
            } => {
                self.positive.push_counts(positive, []);
                self.negative.push_counts(negative, []);
                (Some((count.cast_signed(), zero_count.cast_signed())), None)
            }
            Counts::Float {
                count,
                zero_count,
                positive,
                negative,
            } => {
                self.positive.push_counts([], positive);
                self.negative.push_counts([], negative);
                (None, Some((count, zero_count)))
            }
        };

        self.count_int.push(integers.map(|(count, _)| count));
        self.zero_count_int
            .push(integers.map(|(_, zero_count)| zero_count));
        self.count.push(floats.map(|(count, _)| count));
        self.zero_count
            .push(floats.map(|(_, zero_count)| zero_count));
    }

    /// Encodes the chunks of all columns, in the order of [`schema::histograms`].
    fn encode(mut self, recipes: &Recipes, file: &GroupsWriter) -> Result<Vec<Chunk>> {
        let Recipes {
            bounded,
            integer,
            float,
            same,
            hint,
        } = recipes;

        let rows = self.ts.len();
        let mut next = 0..;
        let mut column = || file.column(next.next().unwrap_or(usize::MAX));

        Ok(vec![
            bounded.encode::<Int32Type>(&column(), &self.sref, None, None)?,
            bounded.encode::<Int64Type>(&column(), &self.ts, None, None)?,
            self.start_ts.encode(integer, &column(), rows)?,
            self.ttl.encode(integer, &column(), rows)?,
            integer.encode::<Int32Type>(&column(), &self.schema, None, None)?,
            hint.encode::<ByteArrayType>(&column(), &self.hint, None, None)?,
            float.encode::<DoubleType>(&column(), &self.sum, None, None)?,
            same.encode::<DoubleType>(&column(), &self.zero_threshold, None, None)?,
            self.count_int.encode(integer, &column(), rows)?,
            self.zero_count_int.encode(integer, &column(), rows)?,
            self.count.encode(float, &column(), rows)?,
            self.zero_count.encode(float, &column(), rows)?,
            self.positive.offsets.encode(same, &column())?,
            self.positive.lengths.encode(same, &column())?,
            self.negative.offsets.encode(same, &column())?,
            self.negative.lengths.encode(same, &column())?,
            self.positive.deltas.encode(same, &column())?,
            self.negative.deltas.encode(same, &column())?,
            self.positive.counts.encode(float, &column())?,
            self.negative.counts.encode(float, &column())?,
            self.custom_values.encode(same, &column())?,
        ])
    }
}

impl Side {
    fn push_spans(&mut self, spans: &[Span]) {
        self.offsets.push(spans.iter().map(|span| span.offset));
        self.lengths
            .push(spans.iter().map(|span| span.length.cast_signed()));
    }

    fn push_counts(
        &mut self,
        deltas: impl IntoIterator<Item = i64>,
        counts: impl IntoIterator<Item = f64>,
    ) {
        self.deltas.push(deltas);
        self.counts.push(counts);
    }
}
