//! A stretch of an input, as a reader took it.
//!
//! A run ends where the input has so many bytes or samples, so the same input always has the same
//! runs. Its digest follows from its bytes and from how they are read. An input that has grown has
//! the same runs as before, except for the last one.

use std::collections::HashMap;

use duramen_model::{Exemplar, FamilyMetadata, Labels};

use crate::error::Error;

/// When a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLimits {
    /// The bytes of the input.
    pub bytes_max: u64,
    /// Floats, histograms and exemplars. A float takes 24 bytes.
    pub samples_max: usize,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            bytes_max: 256 << 20,
            samples_max: 8 << 20,
        }
    }
}

/// Reads an input run by run. All calls may block.
pub trait Reader: Send {
    /// Returns the next run; `None` behind the last.
    fn next_run(&mut self) -> Result<Option<Run>, Error>;
}

/// What a stretch of an input says, in its order.
#[derive(Debug, Default)]
pub struct Run {
    /// The first line and the last, from 1.
    pub first_line: u64,
    pub last_line: u64,
    pub bytes: u64,
    /// Tells runs apart: by their bytes, and by how they are read.
    pub digest: u128,
    pub(crate) labels: Vec<Labels>,
    pub(crate) floats: Vec<Float>,
    pub(crate) histograms: Vec<HistogramRow>,
    pub(crate) exemplars: Vec<ExemplarRow>,
    pub(crate) families: Vec<FamilyMetadata>,
}

/// A float of a series, which is a place in the labels of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Float {
    /// Until the run is sorted, nothing.
    pub(crate) day: u32,
    pub(crate) series: u32,
    pub(crate) ts_ms: i64,
    pub(crate) value: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct HistogramRow {
    pub(crate) day: u32,
    pub(crate) series: u32,
    pub(crate) ts_ms: i64,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct ExemplarRow {
    pub(crate) day: u32,
    pub(crate) series: u32,
    pub(crate) exemplar: Exemplar,
}

impl Run {
    pub(crate) fn samples(&self) -> usize {
        self.floats.len() + self.histograms.len() + self.exemplars.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.samples() == 0
    }
}

/// Collects the rows of a run.
#[derive(Debug, Default)]
pub(crate) struct RunBuilder {
    pub(crate) run: Run,
    numbers: HashMap<Labels, u32>,
    /// By the texts that the input has for series.
    by_text: HashMap<Vec<u8>, u32>,
    /// The text of the last series, and its number.
    last: Option<(Vec<u8>, u32)>,
}

impl RunBuilder {
    /// Returns the number of the series that the input names so. `labels` is called for a new text.
    pub(crate) fn series(
        &mut self,
        text: &[u8],
        labels: impl FnOnce() -> Result<Labels, String>,
    ) -> Result<u32, String> {
        if let Some((last, number)) = &self.last
            && last == text
        {
            return Ok(*number);
        }

        let number = match self.by_text.get(text) {
            Some(number) => *number,
            None => {
                let number = self.number(labels()?)?;
                self.by_text.insert(text.to_owned(), number);
                number
            }
        };

        match &mut self.last {
            Some((last, last_number)) => {
                text.clone_into(last);
                *last_number = number;
            }
            none => *none = Some((text.to_owned(), number)),
        }

        Ok(number)
    }

    fn number(&mut self, labels: Labels) -> Result<u32, String> {
        if let Some(number) = self.numbers.get(&labels) {
            return Ok(*number);
        }

        let number = u32::try_from(self.run.labels.len());
        let number = number.map_err(|_| "a run has too many series".to_owned())?;
        self.run.labels.push(labels.clone());
        self.numbers.insert(labels, number);
        Ok(number)
    }

    pub(crate) fn float(&mut self, series: u32, ts_ms: i64, value: f64) {
        self.run.floats.push(Float {
            day: 0,
            series,
            ts_ms,
            value,
        });
    }

    pub(crate) fn histogram(&mut self, series: u32, ts_ms: i64, bytes: Vec<u8>) {
        self.run.histograms.push(HistogramRow {
            day: 0,
            series,
            ts_ms,
            bytes,
        });
    }

    pub(crate) fn exemplar(&mut self, series: u32, exemplar: Exemplar) {
        self.run.exemplars.push(ExemplarRow {
            day: 0,
            series,
            exemplar,
        });
    }

    /// Whether the run ends, with so many bytes of the input.
    pub(crate) fn is_full(&self, bytes: u64, limits: &RunLimits) -> bool {
        bytes >= limits.bytes_max || self.run.samples() >= limits.samples_max
    }
}
