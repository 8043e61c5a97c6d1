//! Writes a block.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use duramen_model::{Labels, TimeRange};
use duramen_proto::chunk::{Chunk, Encoding};
use duramen_runtime::Disk;
use serde_json::json;
use ulid::Ulid;

use crate::error::Error;
use crate::meta::META_FILE;
use crate::write::index::{self, IndexSeries};
use crate::write::output::Output;
use crate::write::put::{put_uvarint, put_varint};
use crate::write::segments::{SegmentsWriter, no_tombstones};

/// Prometheus ignores a directory whose name ends so, and removes it when it starts.
const TEMPORARY_SUFFIX: &str = ".tmp-for-creation";

/// A block that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenBlock {
    pub directory: PathBuf,
    pub ulid: Ulid,
    pub range: TimeRange,
    pub series: u64,
    pub floats: u64,
    pub histograms: u64,
    pub chunks: u64,
    pub bytes: u64,
}

/// Writes the block of one window of time. Its directory has its name only once it is complete; a
/// writer that is dropped before leaves a directory that Prometheus removes.
///
/// Memory: some 40 bytes for each series, and more for one with many chunks.
#[derive(Debug)]
pub struct TsdbWriter {
    disk: Arc<dyn Disk>,
    parent: PathBuf,
    segments: SegmentsWriter,
    series: Vec<Entry>,
    /// The encoded chunks of all series.
    encoded: Vec<u8>,
    written: WrittenBlock,
}

/// A series, by its number, and where its chunks end.
#[derive(Clone, Copy, Debug)]
struct Entry {
    number: usize,
    end: usize,
}

impl TsdbWriter {
    /// Begins the block `ulid` in the directory `parent`. All samples will be in `range`.
    pub fn create(
        disk: &Arc<dyn Disk>,
        parent: &Path,
        ulid: Ulid,
        range: TimeRange,
    ) -> Result<Self, Error> {
        let temporary = parent.join(format!("{ulid}{TEMPORARY_SUFFIX}"));
        let chunks = temporary.join("chunks");

        duramen_runtime::disk::create_dir_all_synced(disk, &chunks).map_err(|source| {
            Error::Disk {
                path: chunks.clone(),
                source,
            }
        })?;

        Ok(Self {
            disk: Arc::clone(disk),
            parent: parent.to_owned(),
            segments: SegmentsWriter::new(Arc::clone(disk), chunks),
            series: Vec::new(),
            encoded: Vec::new(),
            written: WrittenBlock {
                directory: parent.join(ulid.to_string()),
                ulid,
                range,
                series: 0,
                floats: 0,
                histograms: 0,
                chunks: 0,
                bytes: 0,
            },
        })
    }

    /// Adds the chunks of a series, in the order of time. A series comes once. `number` is its
    /// place in the labels for [`TsdbWriter::finish`].
    pub fn push(&mut self, number: usize, chunks: &[Chunk]) -> Result<(), Error> {
        if chunks.is_empty() {
            return Ok(());
        }

        put_uvarint(chunks.len() as u64, &mut self.encoded);
        let mut before: Option<(i64, u64)> = None;

        for chunk in chunks {
            let reference = self.segments.push(chunk)?;
            let length_ms = chunk.last_ms.wrapping_sub(chunk.first_ms).cast_unsigned();

            match before {
                None => {
                    put_varint(chunk.first_ms, &mut self.encoded);
                    put_uvarint(length_ms, &mut self.encoded);
                    put_uvarint(reference, &mut self.encoded);
                }
                Some((last_ms, last_reference)) => {
                    let gap_ms = chunk.first_ms.wrapping_sub(last_ms).cast_unsigned();
                    let step = reference.wrapping_sub(last_reference).cast_signed();

                    put_uvarint(gap_ms, &mut self.encoded);
                    put_uvarint(length_ms, &mut self.encoded);
                    put_varint(step, &mut self.encoded);
                }
            }

            before = Some((chunk.last_ms, reference));
            self.count(chunk);
        }

        let end = self.encoded.len();
        self.series.push(Entry { number, end });
        Ok(())
    }

    fn count(&mut self, chunk: &Chunk) {
        let samples = chunk.data.first_chunk().copied();
        let samples = u64::from(samples.map_or(0, u16::from_be_bytes));

        match chunk.encoding {
            Encoding::Xor => self.written.floats += samples,
            Encoding::Histogram | Encoding::FloatHistogram => self.written.histograms += samples,
        }

        self.written.chunks += 1;
    }

    /// Completes the block. `labels` are those of the numbers that were pushed. Without any series
    /// there is no block.
    pub fn finish(mut self, labels: &[Labels]) -> Result<Option<WrittenBlock>, Error> {
        let ulid = self.written.ulid;
        let temporary = self.parent.join(format!("{ulid}{TEMPORARY_SUFFIX}"));

        let failed = |path: &Path, source| Error::Disk {
            path: path.to_owned(),
            source,
        };

        if self.series.is_empty() {
            let removed = duramen_runtime::disk::remove_dir_all(&*self.disk, &temporary);
            removed.map_err(|source| failed(&temporary, source))?;
            return Ok(None);
        }

        self.written.series = self.series.len() as u64;
        self.written.bytes = self.segments.finish()?;

        let series = sorted(&self.series, &self.encoded, labels);
        let index = temporary.join("index");
        self.written.bytes += index::write(&self.disk, index, &series)?;

        let small = [
            ("tombstones", no_tombstones()),
            (META_FILE, meta(&self.written)),
        ];

        for (name, bytes) in small {
            let mut output = Output::create(&self.disk, temporary.join(name))?;
            output.put(&bytes)?;
            self.written.bytes += output.finish()?;
        }

        for directory in [&temporary.join("chunks"), &temporary] {
            let synced = self.disk.sync_dir(directory);
            synced.map_err(|source| failed(directory, source))?;
        }

        let to = &self.written.directory;
        let renamed = self.disk.rename(&temporary, to);
        renamed.map_err(|source| failed(to, source))?;

        let synced = self.disk.sync_dir(&self.parent);
        synced.map_err(|source| failed(&self.parent, source))?;
        Ok(Some(self.written))
    }
}

/// Returns the series in the order of a TSDB: that of their labels, by names and values.
fn sorted<'a>(entries: &[Entry], encoded: &'a [u8], labels: &'a [Labels]) -> Vec<IndexSeries<'a>> {
    let starts = std::iter::once(0).chain(entries.iter().map(|entry| entry.end));
    let mut series = Vec::with_capacity(entries.len());

    for (start, entry) in starts.zip(entries) {
        let labels = labels.get(entry.number);
        let chunks = encoded.get(start..entry.end);

        if let Some((labels, chunks)) = labels.zip(chunks) {
            series.push(IndexSeries { labels, chunks });
        }
    }

    series.sort_by(|a, b| a.labels.iter().cmp(b.labels.iter()));
    series
}

fn meta(block: &WrittenBlock) -> Vec<u8> {
    let json = json!({
        "ulid": block.ulid.to_string(),
        "minTime": block.range.start_ms(),
        "maxTime": block.range.end_ms(),
        "stats": {
            "numSamples": block.floats + block.histograms,
            "numFloatSamples": block.floats,
            "numHistogramSamples": block.histograms,
            "numSeries": block.series,
            "numChunks": block.chunks,
        },
        "compaction": { "level": 1, "sources": [block.ulid.to_string()] },
        "version": 1,
    });

    let mut bytes = serde_json::to_vec_pretty(&json).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
