//! Reads a `load` command: series and their samples.

use std::collections::BTreeMap;

use duramen_model::duration::parse_ms;
use duramen_model::{FloatHistogram, Histogram, Labels, Life, ResetHint};

use crate::item::{Item, Slot};
use crate::line::{Line, ScriptError};
use crate::nhcb::{Classic, Families};
use crate::{sequence, series, start_times};

/// One series and the samples that are added to it.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedSeries {
    pub labels: Labels,
    /// Strictly ascending by time.
    pub samples: Vec<LoadedSample>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LoadedSample {
    pub ts_ms: i64,
    pub life: Life,
    pub value: LoadedValue,
}

#[derive(Clone, Debug, PartialEq)]
pub enum LoadedValue {
    Float(f64),
    Histogram(Histogram),
}

/// Reads `load GAP` or `load_with_nhcb GAP` and its lines. The first sample of each load is at the
/// epoch.
pub(crate) fn parse(
    (line, head): Line<'_>,
    block: &[Line<'_>],
) -> Result<Vec<LoadedSeries>, ScriptError> {
    let (command, gap) = head.split_once(char::is_whitespace).unwrap_or((head, ""));
    let nhcb = match command.to_lowercase().as_str() {
        "load" => false,
        "load_with_nhcb" => true,
        other => return Err(ScriptError::at(line, format!("no command: {other:?}"))),
    };

    let gap_ms = parse_ms(gap.trim()).map_err(|error| ScriptError::at(line, error.to_string()))?;
    let lines = read_lines(block)?;
    let mut loaded = Vec::new();
    let mut classic = Families::new();

    for (line, labels, values) in lines.into_values() {
        if nhcb {
            Classic::collect(&mut classic, &labels, &values);
        }

        let samples = timed(values, gap_ms).map_err(|reason| ScriptError::at(line, reason))?;
        loaded.push(LoadedSeries { labels, samples });
    }

    for (labels, classic) in classic.into_values() {
        let histograms = classic
            .histograms()
            .map_err(|reason| ScriptError::at(line, reason))?;
        let values = histograms
            .into_iter()
            .map(|histogram| {
                Some(Slot {
                    item: histogram?,
                    offset_ms: None,
                })
            })
            .collect();

        let samples = timed(values, gap_ms).map_err(|reason| ScriptError::at(line, reason))?;
        loaded.push(LoadedSeries { labels, samples });
    }

    Ok(loaded)
}

/// The lines of a load, by the encoded labels of their series: the number of the line, the labels
/// and the values. If a series comes twice, its last line is kept.
type Lines = BTreeMap<Vec<u8>, (usize, Labels, Vec<Option<Slot>>)>;

fn read_lines(block: &[Line<'_>]) -> Result<Lines, ScriptError> {
    let mut lines = Lines::new();
    let mut rest = block;

    while let Some((&(line, text), behind)) = rest.split_first() {
        let at = |reason: String| ScriptError::at(line, reason);
        rest = behind;

        let (labels, values) = match series::split_marked(text, "@st").map_err(at)? {
            None => one(text).map_err(at)?,
            Some((labels, starts)) => {
                let starts = start_times::offsets(starts).map_err(at)?;
                let (&(line, text), behind) = rest
                    .split_first()
                    .ok_or_else(|| at("no samples follow the start times".to_owned()))?;
                rest = behind;

                started(&labels, &starts, text).map_err(|reason| ScriptError::at(line, reason))?
            }
        };

        lines.insert(labels.encoded().to_vec(), (line, labels, values));
    }

    Ok(lines)
}

fn one(text: &str) -> Result<(Labels, Vec<Option<Slot>>), String> {
    let (labels, values) = series::split(text)?;
    let values = sequence::items(values)?;

    Ok((
        labels,
        values
            .into_iter()
            .map(|item| {
                Some(Slot {
                    item: item?,
                    offset_ms: None,
                })
            })
            .collect(),
    ))
}

/// Reads the line of samples that must follow a line of start times.
fn started(
    wanted: &Labels,
    starts: &[Option<i64>],
    text: &str,
) -> Result<(Labels, Vec<Option<Slot>>), String> {
    let (labels, mut values) = one(text)?;
    if labels != *wanted {
        return Err(format!(
            "start times of {wanted} stand before samples of {labels}"
        ));
    }

    if values.len() != starts.len() {
        return Err(format!(
            "{} start times for {} slots",
            starts.len(),
            values.len()
        ));
    }

    for (slot, offset_ms) in values.iter_mut().zip(starts) {
        if let Some(slot) = slot {
            slot.offset_ms = *offset_ms;
        }
    }

    Ok((labels, values))
}

/// Gives each sample its time, and each histogram the hint that a store with chunks would give.
///
/// Such a store starts a new chunk at each counter reset or change of layout. Within a chunk, each
/// histogram but the first is known to follow without a reset. For the first one nothing is known,
/// whatever the script says.
fn timed(values: Vec<Option<Slot>>, gap_ms: i64) -> Result<Vec<LoadedSample>, String> {
    let mut samples = Vec::new();
    let mut before: Option<FloatHistogram> = None;

    for (at, slot) in (0i64..).zip(values) {
        let Some(Slot { item, offset_ms }) = slot else {
            continue;
        };
        let ts_ms = at.checked_mul(gap_ms).ok_or("a time out of range")?;
        let life = Life {
            start_ms: offset_ms.map_or(0, |offset_ms| ts_ms.saturating_add(offset_ms)),
            ttl_ms: 0,
        };

        let value = match item {
            Item::Float(value) => {
                before = None;
                LoadedValue::Float(value)
            }
            Item::Histogram { mut histogram, .. } => {
                if histogram.hint != ResetHint::Gauge {
                    let follows = before
                        .as_ref()
                        .is_some_and(|before| is_in_chunk_of(before, &histogram));
                    histogram.hint = if follows {
                        ResetHint::NotReset
                    } else {
                        ResetHint::Unknown
                    };
                }

                before = Some((*histogram).clone());
                LoadedValue::Histogram(Histogram::from(&*histogram))
            }
        };

        if samples
            .last()
            .is_none_or(|last: &LoadedSample| last.ts_ms < ts_ms)
        {
            samples.push(LoadedSample { ts_ms, life, value });
        }
    }

    Ok(samples)
}

/// Whether the histogram continues the chunk of the one before.
fn is_in_chunk_of(before: &FloatHistogram, histogram: &FloatHistogram) -> bool {
    let counted = FloatHistogram {
        hint: ResetHint::Unknown,
        ..histogram.clone()
    };

    before.hint != ResetHint::Gauge
        && histogram.hint != ResetHint::Reset
        && histogram.schema == before.schema
        && histogram.zero_threshold == before.zero_threshold
        && histogram.custom_values == before.custom_values
        && !counted.is_reset_after(before)
}
