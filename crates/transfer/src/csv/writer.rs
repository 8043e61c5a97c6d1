//! Writes CSV.

use duramen_model::{FamilyMetadata, Histogram, TimeRange};

use crate::error::Error;
use crate::form::{Form, LabelsAs, SeriesRows, Wants, Written};
use crate::histogram_text;
use crate::label_columns::{HISTOGRAM, LABELS, TIME, VALUE, column_of, ordered, to_json};
use crate::number;
use crate::output::Output;

/// The rows of all days, the oldest day first; in a day series by series.
#[derive(Debug)]
pub struct CsvForm {
    output: Output,
    labels_as: LabelsAs,
    names: Vec<String>,
    written: Written,
    /// What stands before the time in each row of a series.
    prefix: Vec<u8>,
}

impl CsvForm {
    pub fn new(output: Output, labels_as: LabelsAs) -> Self {
        Self {
            output,
            labels_as,
            names: Vec::new(),
            written: Written::default(),
            prefix: Vec::new(),
        }
    }

    fn header(&mut self) {
        let columns = match self.labels_as {
            LabelsAs::Map => vec![LABELS.to_owned()],
            LabelsAs::Columns => self.names.iter().map(|name| column_of(name)).collect(),
        };

        let fixed = [TIME, VALUE, HISTOGRAM].map(str::to_owned);
        let out = self.output.buffer();

        for (at, column) in columns.iter().chain(&fixed).enumerate() {
            if at > 0 {
                out.push(b',');
            }

            put_field(column, out);
        }

        out.push(b'\n');
    }

    fn set_prefix(&mut self, rows: &SeriesRows<'_>) {
        self.prefix.clear();

        match self.labels_as {
            LabelsAs::Map => {
                put_field(&to_json(&rows.labels), &mut self.prefix);
                self.prefix.push(b',');
            }
            LabelsAs::Columns => {
                for name in &self.names {
                    put_field(rows.labels.get(name).unwrap_or(""), &mut self.prefix);
                    self.prefix.push(b',');
                }
            }
        }
    }
}

impl Form for CsvForm {
    fn wants(&self) -> Wants {
        Wants {
            whole_series: false,
            exemplars: false,
            families: false,
            label_names: self.labels_as == LabelsAs::Columns,
        }
    }

    fn begin(&mut self, names: Vec<String>, _: Vec<FamilyMetadata>) -> Result<(), Error> {
        self.names = ordered(names)?;
        self.header();
        Ok(())
    }

    fn window(&mut self, _: TimeRange) -> Result<(), Error> {
        Ok(())
    }

    fn put(&mut self, rows: &SeriesRows<'_>) -> Result<(), Error> {
        self.set_prefix(rows);
        self.written.series += 1;
        self.written.floats += rows.ts_ms.len() as u64;
        self.written.histograms += rows.histograms.len() as u64;

        let mut digits = itoa::Buffer::new();

        for (ts_ms, value) in rows.ts_ms.iter().zip(rows.values) {
            let out = self.output.buffer();
            out.extend_from_slice(&self.prefix);
            out.extend_from_slice(digits.format(*ts_ms).as_bytes());
            out.push(b',');
            number::put_bits(*value, out);
            out.extend_from_slice(b",\n");
            self.output.settle()?;
        }

        for held in rows.histograms {
            let histogram = Histogram::from_bytes(held.bytes).ok_or_else(|| rows.undecodable())?;
            let out = self.output.buffer();
            out.extend_from_slice(&self.prefix);
            out.extend_from_slice(digits.format(held.ts_ms).as_bytes());
            out.extend_from_slice(b",,");
            put_field(&histogram_text::to_text(&histogram), out);
            out.push(b'\n');
            self.output.settle()?;
        }

        Ok(())
    }

    fn written(&self) -> Written {
        Written {
            bytes: self.output.bytes(),
            ..self.written
        }
    }

    fn finish(self: Box<Self>) -> Result<Written, Error> {
        Ok(Written {
            files: 1,
            bytes: self.output.finish()?,
            ..self.written
        })
    }
}

/// Appends a field, in quotes if it needs them.
fn put_field(text: &str, out: &mut Vec<u8>) {
    let is_plain = !text
        .bytes()
        .any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'));

    if is_plain {
        out.extend_from_slice(text.as_bytes());
        return;
    }

    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }

        out.push(byte);
    }
    out.push(b'"');
}
