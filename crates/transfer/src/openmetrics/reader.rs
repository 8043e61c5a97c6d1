//! Reads OpenMetrics text.

use std::collections::BTreeMap;
use std::io::Read;

use duramen_model::{Exemplar, FamilyMetadata, METRIC_NAME, MetricType};
use xxhash_rust::xxh3::Xxh3;

use crate::error::Error;
use crate::labels;
use crate::lines::Lines;
use crate::number;
use crate::openmetrics::scan::{Pairs, pairs, series_end};
use crate::run::{Reader, Run, RunBuilder, RunLimits};

/// The metadata of so many families is kept.
const FAMILIES_MAX: usize = 100_000;

/// Takes text with a time in each sample, up to `# EOF`.
#[derive(Debug)]
pub struct OpenMetricsReader {
    lines: Lines,
    limits: RunLimits,
    now_ms: i64,
    /// What was told of families, and is in no run yet.
    families: BTreeMap<String, FamilyMetadata>,
    is_over: bool,
}

impl OpenMetricsReader {
    /// `now_ms` is the time at which metadata is seen.
    pub fn new(input: Box<dyn Read + Send>, limits: RunLimits, now_ms: i64) -> Self {
        Self {
            lines: Lines::new(input),
            limits,
            now_ms,
            families: BTreeMap::new(),
            is_over: false,
        }
    }

    /// Takes a line that begins with `#`.
    fn comment(&mut self) -> Result<(), Error> {
        let Ok(line) = std::str::from_utf8(self.lines.line()) else {
            return Err(self.lines.fault("the line is not UTF-8"));
        };

        if line.trim_end() == "# EOF" {
            self.is_over = true;
            return Ok(());
        }

        let Some((what, name, text)) = metadata(line) else {
            return Ok(());
        };

        if !self.families.contains_key(&name) && self.families.len() >= FAMILIES_MAX {
            let what = format!("there are more than {FAMILIES_MAX} families");
            return Err(self.lines.fault(what));
        }

        let family = self.families.entry(name.clone());
        let family = family.or_insert_with(|| FamilyMetadata {
            family: name,
            kind: MetricType::Unknown,
            help: String::new(),
            unit: String::new(),
            last_seen_ms: self.now_ms,
        });

        match what {
            Told::Type => family.kind = MetricType::named(text.trim()).unwrap_or_default(),
            Told::Help => family.help = text,
            Told::Unit => family.unit = text,
        }

        Ok(())
    }

    /// Returns a run of what was collected.
    fn run(&mut self, builder: RunBuilder, first_line: u64) -> Run {
        let digest = std::mem::replace(&mut self.lines.digest, Xxh3::new());
        let bytes = std::mem::take(&mut self.lines.bytes);
        let mut run = builder.run;

        run.first_line = first_line;
        run.last_line = self.lines.number;
        run.bytes = bytes;
        run.digest = digest.digest128();

        if !run.is_empty() {
            run.families = std::mem::take(&mut self.families).into_values().collect();
        }

        run
    }
}

impl Reader for OpenMetricsReader {
    fn next_run(&mut self) -> Result<Option<Run>, Error> {
        let mut builder = RunBuilder::default();
        let first_line = self.lines.number + 1;

        while !builder.is_full(self.lines.bytes, &self.limits) {
            if !self.lines.next()? {
                if !self.is_over {
                    let what = "the text ends without # EOF, so it may be cut off";
                    return Err(self.lines.fault(what));
                }

                break;
            }

            let line = self.lines.line();
            if line.is_empty() {
                continue;
            }

            if self.is_over {
                return Err(self.lines.fault("there is something behind # EOF"));
            }

            if line.starts_with(b"#") {
                self.comment()?;
                continue;
            }

            if let Err(what) = sample(line, &mut builder) {
                return Err(self.lines.fault(what));
            }
        }

        let run = self.run(builder, first_line);
        Ok((run.bytes > 0).then_some(run))
    }
}

enum Told {
    Type,
    Help,
    Unit,
}

/// Reads `# TYPE name text` and its like; `None` for another comment.
fn metadata(line: &str) -> Option<(Told, String, String)> {
    let rest = line.strip_prefix("# ")?;
    let (what, rest) = rest.split_once(' ')?;
    let what = match what {
        "TYPE" => Told::Type,
        "HELP" => Told::Help,
        "UNIT" => Told::Unit,
        _ => return None,
    };

    let (name, text) = match rest.strip_prefix('"') {
        None => rest.split_once(' ').unwrap_or((rest, "")),
        Some(quoted) => {
            let end = crate::openmetrics::scan::quote_end(quoted.as_bytes())?;
            let text = quoted.get(end + 1..)?;
            (quoted.get(..end)?, text.strip_prefix(' ').unwrap_or(text))
        }
    };

    let unescaped = |text: &str| crate::openmetrics::scan::unescaped(text).into_owned();
    Some((what, unescaped(name), unescaped(text)))
}

/// Takes a line with a sample.
fn sample(line: &[u8], builder: &mut RunBuilder) -> Result<(), String> {
    let end = series_end(line).ok_or("the labels of a sample do not end")?;
    let (text, rest) = line.split_at_checked(end).unwrap_or_default();
    let series = builder.series(text, || {
        let (name, pairs) = series_of(text)?;
        let named = name.iter().map(|name| (METRIC_NAME, &**name));
        let others = pairs.iter().map(|(name, value)| (&**name, &**value));
        labels::checked(named.chain(others))
    })?;

    let (numbers, exemplar) = match rest.iter().position(|byte| *byte == b'#') {
        Some(at) => (rest.get(..at), rest.get(at + 1..)),
        None => (Some(rest), None),
    };

    let (value, time) = two_numbers(numbers.unwrap_or_default())?;
    let ts_ms = time.ok_or("a sample has no time")?;
    builder.float(series, ts_ms, value);

    if let Some(text) = exemplar {
        builder.exemplar(series, read_exemplar(text, ts_ms)?);
    }

    Ok(())
}

/// Reads the name and the labels of a series.
fn series_of(text: &[u8]) -> Result<(Option<String>, Pairs), String> {
    let text = std::str::from_utf8(text).map_err(|_| "the line is not UTF-8")?;
    let (name, rest) = match text.find('{') {
        None => return Ok((Some(text.to_owned()), Vec::new())),
        Some(at) => text.split_at(at),
    };

    let (quoted, pairs) = pairs(rest).ok_or("the labels of a sample cannot be read")?;
    let name = match (name, quoted) {
        ("", quoted) => quoted,
        (name, None) => Some(name.to_owned()),
        (_, Some(_)) => return Err("a sample has two names".to_owned()),
    };

    Ok((name, pairs))
}

/// Reads a value and, if there is one, a time.
fn two_numbers(text: &[u8]) -> Result<(f64, Option<i64>), String> {
    let mut words = text
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty());
    let value = words.next().ok_or("a sample has no value")?;
    let value = number::float(value).ok_or("a value cannot be read")?;

    let time = match words.next() {
        None => None,
        Some(time) => Some(number::seconds(time).ok_or("a time cannot be read")?),
    };

    match words.next() {
        None => Ok((value, time)),
        Some(_) => Err("there is something behind the time".to_owned()),
    }
}

/// Reads an exemplar behind its `#`. Without a time it has that of its sample.
fn read_exemplar(text: &[u8], sample_ms: i64) -> Result<Exemplar, String> {
    let text = text.trim_ascii_start();
    let end = series_end(text).filter(|_| text.starts_with(b"{"));
    let end = end.ok_or("the labels of an exemplar cannot be read")?;
    let (labels, rest) = text.split_at_checked(end).unwrap_or_default();

    let (_, pairs) = series_of(labels)?;
    let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
    let (value, time) = two_numbers(rest)?;

    Ok(Exemplar {
        ts_ms: time.unwrap_or(sample_ms),
        value,
        labels: labels::checked(pairs)?,
    })
}
