//! One flat Parquet file: a row for each sample.
//!
//! ```text
//! <label> : string, dictionary, null if a series has none   or   labels : map of strings
//! time : timestamp of milliseconds, UTC     value : double, null for a histogram
//! histogram : string of JSON, null for a float (see `histogram_text`)
//! ```
//!
//! Rows come day by day, in a day series by series. A value has all its bits, stale markers too.

use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, Encoding, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::schema::types::ColumnPath;
use arrow::array::{
    ArrayRef, DictionaryArray, Float64Builder, Int32Array, Int32Builder, MapBuilder, RecordBatch,
    StringArray, StringBuilder, TimestampMillisecondBuilder,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit};
use duramen_model::{FamilyMetadata, Histogram, TimeRange};

use crate::error::Error;
use crate::form::{Form, LabelsAs, SeriesRows, Wants, Written};
use crate::histogram_text;
use crate::label_columns::{HISTOGRAM, LABELS, TIME, VALUE, column_of, ordered};
use crate::output::{self, Output};

/// The rows that are encoded at once.
const BATCH_ROWS: usize = 64 << 10;
const ROW_GROUP_ROWS: usize = 1 << 20;
const ZSTD_LEVEL: i32 = 3;

pub struct ParquetForm {
    /// Until the columns are known.
    output: Option<Output>,
    open: Option<Open>,
    labels_as: LabelsAs,
    written: Written,
}

struct Open {
    writer: ArrowWriter<Output>,
    schema: SchemaRef,
    columns: Columns,
    rows: usize,
}

/// The columns of the rows that are not encoded yet.
struct Columns {
    labels: LabelColumns,
    time: TimestampMillisecondBuilder,
    value: Float64Builder,
    histogram: StringBuilder,
}

enum LabelColumns {
    Columns(Vec<LabelColumn>),
    Map(Box<MapBuilder<StringBuilder, StringBuilder>>),
}

/// One label. The values of a series are one value of the dictionary.
struct LabelColumn {
    name: String,
    keys: Int32Builder,
    values: StringBuilder,
    /// How many values there are.
    known: i32,
    last: Option<String>,
}

impl std::fmt::Debug for ParquetForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetForm")
            .field("labels_as", &self.labels_as)
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

impl ParquetForm {
    pub fn new(output: Output, labels_as: LabelsAs) -> Self {
        Self {
            output: Some(output),
            open: None,
            labels_as,
            written: Written::default(),
        }
    }

    fn open(&mut self) -> Result<&mut Open, Error> {
        self.open.as_mut().ok_or(Error::Stopped)
    }
}

impl Form for ParquetForm {
    fn wants(&self) -> Wants {
        Wants {
            whole_series: false,
            exemplars: false,
            families: false,
            label_names: self.labels_as == LabelsAs::Columns,
        }
    }

    fn begin(&mut self, names: Vec<String>, _: Vec<FamilyMetadata>) -> Result<(), Error> {
        let names = ordered(names)?;
        let schema = schema(&names, self.labels_as);
        let output = self.output.take().ok_or(Error::Stopped)?;
        let writer = ArrowWriter::try_new(output, Arc::clone(&schema), Some(properties()?));

        self.open = Some(Open {
            writer: writer.map_err(output::cause)?,
            schema,
            columns: Columns::new(names, self.labels_as),
            rows: 0,
        });

        Ok(())
    }

    fn window(&mut self, _: TimeRange) -> Result<(), Error> {
        Ok(())
    }

    fn put(&mut self, rows: &SeriesRows<'_>) -> Result<(), Error> {
        self.written.series += 1;
        self.written.floats += rows.ts_ms.len() as u64;
        self.written.histograms += rows.histograms.len() as u64;

        let open = self.open()?;
        let mut ts_ms = rows.ts_ms;
        let mut values = rows.values;

        while !ts_ms.is_empty() {
            let count = ts_ms.len().min(BATCH_ROWS - open.rows);
            let (now_ts, later_ts) = ts_ms.split_at(count);
            let (now_values, later_values) = values.split_at(count);

            open.columns.put_labels(rows, count)?;
            open.columns.time.append_slice(now_ts);
            open.columns.value.append_slice(now_values);
            open.columns.histogram.append_nulls(count);
            open.grow(count)?;

            (ts_ms, values) = (later_ts, later_values);
        }

        for held in rows.histograms {
            let histogram = Histogram::from_bytes(held.bytes).ok_or_else(|| rows.undecodable())?;

            open.columns.put_labels(rows, 1)?;
            open.columns.time.append_value(held.ts_ms);
            open.columns.value.append_null();
            open.columns
                .histogram
                .append_value(histogram_text::to_text(&histogram));
            open.grow(1)?;
        }

        Ok(())
    }

    fn written(&self) -> Written {
        let bytes = self
            .open
            .as_ref()
            .map_or(0, |open| open.writer.bytes_written());

        Written {
            bytes: bytes as u64,
            ..self.written
        }
    }

    fn finish(mut self: Box<Self>) -> Result<Written, Error> {
        let mut open = self.open.take().ok_or(Error::Stopped)?;
        open.encode()?;

        let output = open.writer.into_inner().map_err(output::cause)?;
        Ok(Written {
            files: 1,
            bytes: output.finish()?,
            ..self.written
        })
    }
}

impl Open {
    /// Counts rows that were added, and encodes them if they are many.
    fn grow(&mut self, rows: usize) -> Result<(), Error> {
        self.rows += rows;

        if self.rows >= BATCH_ROWS {
            self.encode()?;
        }

        Ok(())
    }

    fn encode(&mut self) -> Result<(), Error> {
        if self.rows == 0 {
            return Ok(());
        }

        let columns = self.columns.finish()?;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        let batch = batch.map_err(ParquetError::from)?;

        self.rows = 0;
        self.writer.write(&batch).map_err(output::cause)
    }
}

impl Columns {
    fn new(names: Vec<String>, labels_as: LabelsAs) -> Self {
        let labels = match labels_as {
            LabelsAs::Map => LabelColumns::Map(Box::new(map_builder())),
            LabelsAs::Columns => {
                LabelColumns::Columns(names.into_iter().map(LabelColumn::new).collect())
            }
        };

        Self {
            labels,
            time: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            value: Float64Builder::new(),
            histogram: StringBuilder::new(),
        }
    }

    /// Appends the labels of `rows` rows of one series.
    fn put_labels(&mut self, series: &SeriesRows<'_>, rows: usize) -> Result<(), Error> {
        match &mut self.labels {
            LabelColumns::Columns(columns) => {
                for column in columns {
                    column.put(series.labels.get(&column.name), rows);
                }
            }
            LabelColumns::Map(map) => {
                for _ in 0..rows {
                    for (name, value) in &series.labels {
                        map.keys().append_value(name);
                        map.values().append_value(value);
                    }

                    map.append(true).map_err(ParquetError::from)?;
                }
            }
        }

        Ok(())
    }

    fn finish(&mut self) -> Result<Vec<ArrayRef>, Error> {
        let mut arrays: Vec<ArrayRef> = Vec::new();

        match &mut self.labels {
            LabelColumns::Columns(columns) => {
                for column in columns {
                    arrays.push(column.finish()?);
                }
            }
            LabelColumns::Map(map) => arrays.push(Arc::new(map.finish())),
        }

        arrays.push(Arc::new(self.time.finish()));
        arrays.push(Arc::new(self.value.finish()));
        arrays.push(Arc::new(self.histogram.finish()));
        Ok(arrays)
    }
}

impl LabelColumn {
    fn new(name: String) -> Self {
        Self {
            name,
            keys: Int32Builder::new(),
            values: StringBuilder::new(),
            known: 0,
            last: None,
        }
    }

    fn put(&mut self, value: Option<&str>, rows: usize) {
        let Some(value) = value else {
            self.keys.append_nulls(rows);
            return;
        };

        if self.last.as_deref() != Some(value) {
            self.values.append_value(value);
            self.known += 1;
            self.last = Some(value.to_owned());
        }

        let key = self.known - 1;
        self.keys.extend(std::iter::repeat_n(Some(key), rows));
    }

    fn finish(&mut self) -> Result<ArrayRef, Error> {
        let keys: Int32Array = self.keys.finish();
        let values: StringArray = self.values.finish();
        let array = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values));

        self.known = 0;
        self.last = None;
        Ok(Arc::new(array.map_err(ParquetError::from)?))
    }
}

fn map_builder() -> MapBuilder<StringBuilder, StringBuilder> {
    MapBuilder::new(None, StringBuilder::new(), StringBuilder::new())
}

fn schema(names: &[String], labels_as: LabelsAs) -> SchemaRef {
    let text = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let mut fields = Vec::new();

    match labels_as {
        LabelsAs::Columns => {
            let columns = names.iter();
            fields.extend(columns.map(|name| Field::new(column_of(name), text(), true)));
        }
        LabelsAs::Map => {
            let map = map_builder().finish();
            let of_map = arrow::array::Array::data_type(&map).clone();
            fields.push(Field::new(LABELS, of_map, false));
        }
    }

    let time = DataType::Timestamp(TimeUnit::Millisecond, Some(Arc::from("UTC")));
    fields.push(Field::new(TIME, time, false));
    fields.push(Field::new(VALUE, DataType::Float64, true));
    fields.push(Field::new(HISTOGRAM, DataType::Utf8, true));
    Arc::new(Schema::new(fields))
}

fn properties() -> Result<WriterProperties, Error> {
    let column = |name: &str| ColumnPath::new(vec![name.to_owned()]);
    let level = ZstdLevel::try_new(ZSTD_LEVEL)?;

    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_column_dictionary_enabled(column(TIME), false)
        .set_column_encoding(column(TIME), Encoding::DELTA_BINARY_PACKED)
        .set_column_dictionary_enabled(column(VALUE), false)
        .set_column_dictionary_enabled(column(HISTOGRAM), false);

    Ok(properties.build())
}
