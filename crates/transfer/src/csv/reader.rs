//! Reads CSV.

use std::io::{BufRead, BufReader, Read};

use csv_core::ReadRecordResult;
use duramen_model::{Histogram, METRIC_NAME};
use xxhash_rust::xxh3::Xxh3;

use crate::csv::mapping::{Mapping, Roles};
use crate::error::Error;
use crate::histogram_text;
use crate::label_columns::from_json;
use crate::labels;
use crate::number;
use crate::run::{Reader, Run, RunBuilder, RunLimits};

/// The longest row.
const ROW_BYTES_MAX: usize = 1 << 20;
/// The most columns of a row.
const COLUMNS_MAX: usize = 4096;
const BUFFER_BYTES: usize = 1 << 20;

/// Takes rows below a first row with the names of columns.
pub struct CsvReader {
    rows: Rows,
    limits: RunLimits,
    mapping: Mapping,
    roles: Option<Roles>,
    /// What names a series in a row.
    text: Vec<u8>,
}

impl std::fmt::Debug for CsvReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CsvReader")
            .field("mapping", &self.mapping)
            .finish_non_exhaustive()
    }
}

/// Rows of bounded length.
struct Rows {
    input: BufReader<Box<dyn Read + Send>>,
    parser: csv_core::Reader,
    fields: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
    /// The line that the last row began with.
    line: u64,
    digest: Xxh3,
    bytes: u64,
}

impl CsvReader {
    pub fn new(input: Box<dyn Read + Send>, limits: RunLimits, mapping: Mapping) -> Self {
        Self {
            rows: Rows {
                input: BufReader::with_capacity(BUFFER_BYTES, input),
                parser: csv_core::Reader::new(),
                fields: vec![0; ROW_BYTES_MAX],
                ends: vec![0; COLUMNS_MAX],
                count: 0,
                line: 0,
                digest: Xxh3::new(),
                bytes: 0,
            },
            limits,
            mapping,
            roles: None,
            text: Vec::new(),
        }
    }

    /// Reads the names of the columns. Each digest begins with what they and the mapping say.
    fn read_header(&mut self) -> Result<bool, Error> {
        if self.roles.is_some() {
            return Ok(true);
        }

        if !self.rows.next()? {
            return Ok(false);
        }

        let names: Option<Vec<&str>> = (0..self.rows.count)
            .map(|at| std::str::from_utf8(self.rows.field(at)).ok())
            .collect();

        let names = names.ok_or_else(|| self.rows.fault("the names of columns are not UTF-8"))?;
        self.roles = Some(self.mapping.roles(&names)?);
        Ok(true)
    }

    fn seed(&mut self) {
        let how = format!("{:?} {:?}", self.mapping, self.roles);
        self.rows.digest.update(how.as_bytes());
    }
}

impl Reader for CsvReader {
    fn next_run(&mut self) -> Result<Option<Run>, Error> {
        if !self.read_header()? {
            return Ok(None);
        }

        self.seed();
        let mut builder = RunBuilder::default();
        let first_line = self.rows.parser.line();
        let mut has_rows = false;

        while !builder.is_full(self.rows.bytes, &self.limits) && self.rows.next()? {
            has_rows = true;

            if let Some(roles) = &self.roles {
                let taken = take_row(
                    &self.rows,
                    roles,
                    &self.mapping,
                    &mut self.text,
                    &mut builder,
                );
                taken.map_err(|what| self.rows.fault(what))?;
            }
        }

        let digest = std::mem::replace(&mut self.rows.digest, Xxh3::new());
        let mut run = builder.run;
        run.first_line = first_line;
        run.last_line = self.rows.line;
        run.bytes = std::mem::take(&mut self.rows.bytes);
        run.digest = digest.digest128();
        Ok(has_rows.then_some(run))
    }
}

/// Takes the samples of a row.
fn take_row(
    rows: &Rows,
    roles: &Roles,
    mapping: &Mapping,
    text: &mut Vec<u8>,
    builder: &mut RunBuilder,
) -> Result<(), String> {
    let time = rows.field(roles.time);
    let ts_ms = mapping
        .time
        .read(time)
        .ok_or_else(|| unreadable("time", time))?;
    let histogram = roles.histogram.map(|at| rows.field(at)).unwrap_or_default();

    text.clear();
    for at in roles
        .labels
        .iter()
        .map(|(at, _)| *at)
        .chain(roles.all_labels)
    {
        let field = rows.field(at);
        text.extend_from_slice(&field.len().to_le_bytes());
        text.extend_from_slice(field);
    }

    let labels_end = text.len();

    for (number, (at, metric)) in roles.values.iter().enumerate() {
        let field = rows.field(*at);
        if field.is_empty() && histogram.is_empty() {
            continue;
        }

        text.truncate(labels_end);
        text.extend_from_slice(&number.to_le_bytes());
        let series = builder.series(text, || read_labels(rows, roles, metric.as_deref()))?;

        if histogram.is_empty() {
            let value = number::float(field).ok_or_else(|| unreadable("value", field))?;
            builder.float(series, ts_ms, value);
        } else {
            let held = histogram_text::from_text(histogram);
            let held: Histogram = held.ok_or_else(|| unreadable("histogram", histogram))?;
            held.validate().map_err(|error| error.to_string())?;
            builder.histogram(series, ts_ms, held.to_bytes());
        }
    }

    Ok(())
}

/// Reads the labels of a row.
fn read_labels(
    rows: &Rows,
    roles: &Roles,
    metric: Option<&str>,
) -> Result<duramen_model::Labels, String> {
    let as_text = |field| std::str::from_utf8(field).map_err(|_| "a label is not UTF-8".to_owned());
    let object = match roles.all_labels {
        None => Vec::new(),
        Some(at) => from_json(rows.field(at)).ok_or("the labels are no JSON object of texts")?,
    };

    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for (name, value) in &object {
        pairs.push((name, value));
    }

    for (at, name) in &roles.labels {
        let value = as_text(rows.field(*at))?;
        if !value.is_empty() {
            pairs.push((name, value));
        }
    }

    let is_named = pairs.iter().any(|(name, _)| *name == METRIC_NAME);

    if let Some(metric) = metric {
        pairs.retain(|(name, _)| *name != METRIC_NAME);
        pairs.push((METRIC_NAME, metric));
    } else if let Some(metric) = &roles.metric
        && !is_named
    {
        pairs.push((METRIC_NAME, metric));
    }

    labels::checked(pairs)
}

fn unreadable(what: &str, field: &[u8]) -> String {
    let shown: String = String::from_utf8_lossy(field).chars().take(40).collect();
    format!("a {what} cannot be read: {shown:?}")
}

impl Rows {
    /// Reads the next row. Returns whether there was one.
    fn next(&mut self) -> Result<bool, Error> {
        let mut filled = 0;
        self.count = 0;
        self.line = self.parser.line();

        loop {
            let input = self.input.fill_buf().map_err(Error::Input)?;
            let fields = self.fields.get_mut(filled..).unwrap_or_default();
            let ends = self.ends.get_mut(self.count..).unwrap_or_default();
            let (result, read, written, ended) = self.parser.read_record(input, fields, ends);

            self.digest.update(input.get(..read).unwrap_or_default());
            self.bytes += read as u64;
            self.input.consume(read);
            filled += written;
            self.count += ended;

            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record => return Ok(true),
                ReadRecordResult::End => return Ok(false),
                ReadRecordResult::OutputFull => {
                    return Err(self.fault(format!("a row has more than {ROW_BYTES_MAX} bytes")));
                }
                ReadRecordResult::OutputEndsFull => {
                    return Err(self.fault(format!("a row has more than {COLUMNS_MAX} columns")));
                }
            }
        }
    }

    /// A field of the last row; empty if the row is shorter.
    fn field(&self, at: usize) -> &[u8] {
        let within = |at: usize| self.ends.get(at).copied().filter(|_| at < self.count);
        let start = match at.checked_sub(1) {
            None => Some(0),
            Some(before) => within(before),
        };

        let span = start.zip(within(at));
        let field = span.and_then(|(start, end)| self.fields.get(start..end));
        field.unwrap_or_default()
    }

    fn fault(&self, what: impl Into<String>) -> Error {
        Error::Line {
            line: self.line,
            what: what.into(),
        }
    }
}
