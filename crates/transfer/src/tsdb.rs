//! Blocks of a Prometheus TSDB: one for each two hours, aligned as Prometheus aligns them.
//!
//! Floats and native histograms are as they were sent, stale markers too. A block has no exemplars
//! and no metadata.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use duramen_model::{FamilyMetadata, Histogram, Labels, TimeRange};
use duramen_proto::chunk::{Chunk, ChunkBuilder};
use duramen_runtime::{Clock, Disk};
use duramen_tsdb::{TsdbWriter, WrittenBlock};

use crate::error::Error;
use crate::form::{Form, SeriesRows, Wants, Written};

/// The blocks that Prometheus cuts have two hours.
const WINDOW_MS: i64 = 2 * 60 * 60 * 1000;

/// Writes the blocks of a day at the same time.
///
/// Memory: the labels of the series of a day, and what [`TsdbWriter`] takes for each window.
#[derive(Debug)]
pub struct TsdbForm {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    directory: PathBuf,
    labels: Vec<Labels>,
    /// The writers of the day, by the start of their windows.
    open: BTreeMap<i64, TsdbWriter>,
    chunks: Vec<Chunk>,
    blocks: Vec<WrittenBlock>,
    written: Written,
}

impl TsdbForm {
    /// Writes blocks into a directory, which exists.
    pub fn new(disk: Arc<dyn Disk>, clock: Arc<dyn Clock>, directory: PathBuf) -> Self {
        Self {
            disk,
            clock,
            directory,
            labels: Vec::new(),
            open: BTreeMap::new(),
            chunks: Vec::new(),
            blocks: Vec::new(),
            written: Written::default(),
        }
    }

    fn writer(&mut self, start_ms: i64) -> Result<&mut TsdbWriter, Error> {
        use std::collections::btree_map::Entry;

        match self.open.entry(start_ms) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(none) => {
                let end_ms = start_ms.saturating_add(WINDOW_MS);
                let range = TimeRange::new(start_ms, end_ms);
                let range = range.ok_or_else(|| Error::unfit("a time is too far away"))?;
                let ulid = self.clock.new_ulid();

                let writer = TsdbWriter::create(&self.disk, &self.directory, ulid, range)?;
                Ok(none.insert(writer))
            }
        }
    }

    /// Completes the blocks of the day.
    fn end_day(&mut self) -> Result<(), Error> {
        for (_, writer) in std::mem::take(&mut self.open) {
            if let Some(block) = writer.finish(&self.labels)? {
                self.written.files += 1;
                self.written.bytes += block.bytes;
                self.blocks.push(block);
            }
        }

        self.labels.clear();
        Ok(())
    }
}

impl Form for TsdbForm {
    fn wants(&self) -> Wants {
        Wants {
            whole_series: false,
            exemplars: false,
            families: false,
            label_names: false,
        }
    }

    fn begin(&mut self, _: Vec<String>, _: Vec<FamilyMetadata>) -> Result<(), Error> {
        Ok(())
    }

    fn window(&mut self, _: TimeRange) -> Result<(), Error> {
        self.end_day()
    }

    fn put(&mut self, rows: &SeriesRows<'_>) -> Result<(), Error> {
        let number = self.labels.len();
        let mut samples = Samples::of(rows)?;
        self.written.series += 1;
        self.written.floats += rows.ts_ms.len() as u64;
        self.written.histograms += rows.histograms.len() as u64;

        while let Some(first_ms) = samples.next_ms() {
            let start_ms = first_ms.div_euclid(WINDOW_MS) * WINDOW_MS;
            let end_ms = start_ms.saturating_add(WINDOW_MS);

            let mut chunks = std::mem::take(&mut self.chunks);
            chunks.clear();
            samples.take_until(end_ms, &mut chunks)?;
            self.writer(start_ms)?.push(number, &chunks)?;
            self.chunks = chunks;
        }

        self.labels.push(rows.labels.clone());
        Ok(())
    }

    fn written(&self) -> Written {
        self.written
    }

    fn finish(mut self: Box<Self>) -> Result<Written, Error> {
        self.end_day()?;
        Ok(self.written)
    }
}

/// The floats and histograms of a series that are still to come, both in the order of time.
struct Samples<'a> {
    floats:
        std::iter::Peekable<std::iter::Zip<std::slice::Iter<'a, i64>, std::slice::Iter<'a, f64>>>,
    histograms: std::iter::Peekable<std::vec::IntoIter<(i64, Histogram)>>,
    labels: &'a Labels,
}

impl<'a> Samples<'a> {
    fn of(rows: &'a SeriesRows<'a>) -> Result<Self, Error> {
        let mut histograms = Vec::with_capacity(rows.histograms.len());

        for held in rows.histograms {
            let histogram = Histogram::from_bytes(held.bytes).ok_or_else(|| rows.undecodable())?;
            histograms.push((held.ts_ms, histogram));
        }

        Ok(Self {
            floats: rows.ts_ms.iter().zip(rows.values).peekable(),
            histograms: histograms.into_iter().peekable(),
            labels: &rows.labels,
        })
    }

    fn next_ms(&mut self) -> Option<i64> {
        let float = self.floats.peek().map(|(ts_ms, _)| **ts_ms);
        let histogram = self.histograms.peek().map(|(ts_ms, _)| *ts_ms);

        match (float, histogram) {
            (Some(float), Some(histogram)) => Some(float.min(histogram)),
            (float, histogram) => float.or(histogram),
        }
    }

    /// Makes chunks of the samples before a time.
    fn take_until(&mut self, end_ms: i64, chunks: &mut Vec<Chunk>) -> Result<(), Error> {
        let mut builder = ChunkBuilder::default();

        while let Some(now_ms) = self.next_ms().filter(|ts_ms| *ts_ms < end_ms) {
            if let Some((ts_ms, value)) = self.floats.next_if(|(ts_ms, _)| **ts_ms == now_ms) {
                chunks.extend(builder.push_float(*ts_ms, *value));
            } else if let Some((ts_ms, histogram)) = self.histograms.next() {
                let pushed = builder.push_histogram(ts_ms, &histogram);
                let pushed =
                    pushed.map_err(|error| Error::unfit(format!("{error}: {}", self.labels)))?;
                chunks.extend(pushed);
            }
        }

        chunks.extend(builder.finish());
        Ok(())
    }
}
