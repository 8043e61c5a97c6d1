//! A block of a TSDB: its series, and their samples.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use duramen_model::{Histogram, Labels, TimeRange};
use duramen_proto::chunk::Decoded;
use duramen_runtime::Disk;
use ulid::Ulid;

use crate::chunks::Segments;
use crate::error::Error;
use crate::index::{Index, SeriesRef};
use crate::meta::{META_FILE, Meta};
use crate::tombstones::Tombstones;

/// An open block. Memory: the symbols of its index, and a MiB for each file.
#[derive(Debug)]
pub struct TsdbBlock {
    directory: PathBuf,
    meta: Meta,
    index: Index,
    segments: Segments,
    tombstones: Tombstones,
}

/// The samples of one series. All times ascend strictly, and no time is in both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    pub ts_ms: Vec<i64>,
    pub values: Vec<f64>,
    pub histograms: Vec<(i64, Histogram)>,
    /// Samples that tombstones cover.
    pub deleted: u64,
    /// Samples at a time that the series has already, from a chunk before. The first one counts.
    pub repeated: u64,
}

/// Returns the directories of blocks at `path`: it is one, or has some in it. The oldest comes
/// first.
pub fn find(disk: &dyn Disk, path: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Disk {
        path: path.to_owned(),
        source,
    };

    let entries = disk.read_dir(path).map_err(failed)?;

    if entries.iter().any(|entry| entry.name == META_FILE) {
        return Ok(vec![path.to_owned()]);
    }

    let is_block = |name: &str| Ulid::from_string(name).is_ok();
    let blocks = entries
        .iter()
        .filter(|entry| entry.is_dir && is_block(&entry.name));

    let mut paths: Vec<PathBuf> = blocks.map(|entry| path.join(&entry.name)).collect();
    paths.sort();
    Ok(paths)
}

impl TsdbBlock {
    /// Opens the block in `directory`. Reads its meta, its symbols and its tombstones.
    pub fn open(disk: &Arc<dyn Disk>, directory: &Path) -> Result<Self, Error> {
        let meta = Meta::read(&**disk, directory)?;
        let index = Index::open(disk, directory.join("index"))?;
        let segments = Segments::open(disk, &directory.join("chunks"))?;
        let tombstones = Tombstones::read(disk, directory.join("tombstones"))?;

        Ok(Self {
            directory: directory.to_owned(),
            meta,
            index,
            segments,
            tombstones,
        })
    }

    pub const fn meta(&self) -> &Meta {
        &self.meta
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns all series with their labels, external ones included, in the order of our blocks.
    ///
    /// # Errors
    /// Besides damage: two series have the same labels once external labels replace their own.
    pub fn series(&mut self) -> Result<Vec<(Labels, SeriesRef)>, Error> {
        let external = self.meta.external_labels.clone();
        let mut all = Vec::new();

        self.index.each(|series, labels| {
            all.push((labelled(labels, &external), series));
            Ok(())
        })?;

        all.sort_by(|a, b| a.0.cmp_in_block(&b.0));

        if all.iter().zip(all.iter().skip(1)).any(|(a, b)| a.0 == b.0) {
            return Err(Error::Unsupported {
                path: self.directory.clone(),
                what: "two series of the block have the same labels".to_owned(),
            });
        }

        Ok(all)
    }

    /// Reads the samples of a series in `range`, which is cut to the range of the block.
    pub fn samples(&mut self, series: SeriesRef, range: TimeRange) -> Result<Samples, Error> {
        let Some(range) = range.intersect(self.meta.range) else {
            return Ok(Samples::default());
        };

        let mut found = Found::default();

        for chunk in self.index.chunks(series)? {
            if chunk.overlaps(range) {
                found.add(self.segments.read(chunk.reference)?, range);
            }
        }

        let SeriesRef(number) = series;
        Ok(found.samples(|ts_ms| self.tombstones.covers(number, ts_ms)))
    }
}

/// Adds external labels. They replace labels of the same names, as in Thanos.
fn labelled(labels: Labels, external: &std::collections::BTreeMap<String, String>) -> Labels {
    if external.is_empty() {
        return labels;
    }

    let own = labels
        .iter()
        .filter(|(name, _)| !external.contains_key(*name));
    let added = external
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));

    Labels::from_pairs(own.chain(added)).unwrap_or_else(|| labels.clone())
}

/// The samples of the chunks of one series, in the order of the chunks.
#[derive(Debug, Default)]
struct Found {
    floats: Vec<(i64, f64)>,
    histograms: Vec<(i64, Histogram)>,
}

impl Found {
    fn add(&mut self, chunk: Decoded, range: TimeRange) {
        match chunk {
            Decoded::Floats(samples) => {
                let inside = samples
                    .into_iter()
                    .filter(|(ts_ms, _)| range.contains(*ts_ms));
                self.floats.extend(inside);
            }
            Decoded::Histograms(samples) => {
                let inside = samples
                    .into_iter()
                    .filter(|(ts_ms, _)| range.contains(*ts_ms));
                self.histograms.extend(inside);
            }
        }
    }

    fn samples(self, is_deleted: impl Fn(i64) -> bool) -> Samples {
        let before = self.floats.len() + self.histograms.len();
        let mut floats = self.floats;
        let mut histograms = self.histograms;

        floats.retain(|(ts_ms, _)| !is_deleted(*ts_ms));
        histograms.retain(|(ts_ms, _)| !is_deleted(*ts_ms));
        let kept = floats.len() + histograms.len();

        // Both sorts are stable, so the first of equal times stays the first.
        floats.sort_by_key(|(ts_ms, _)| *ts_ms);
        floats.dedup_by_key(|(ts_ms, _)| *ts_ms);
        histograms.sort_by_key(|(ts_ms, _)| *ts_ms);
        histograms.dedup_by_key(|(ts_ms, _)| *ts_ms);

        if !floats.is_empty() {
            histograms.retain(|(ts_ms, _)| {
                floats
                    .binary_search_by_key(ts_ms, |(float_ms, _)| *float_ms)
                    .is_err()
            });
        }

        let left = floats.len() + histograms.len();
        let (ts_ms, values) = floats.into_iter().unzip();

        Samples {
            ts_ms,
            values,
            histograms,
            deleted: (before - kept) as u64,
            repeated: (kept - left) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_times_of_overlapping_chunks_are_one_sample() {
        let mut found = Found::default();
        let range = TimeRange::new(0, 100).expect("a range");

        found.add(Decoded::Floats(vec![(1, 1.0), (3, 3.0), (100, 9.0)]), range);
        found.add(Decoded::Floats(vec![(2, 2.0), (3, 33.0)]), range);

        let samples = found.samples(|ts_ms| ts_ms == 2);
        assert_eq!(samples.ts_ms, [1, 3]);
        assert_eq!(samples.values, [1.0, 3.0]);
        assert_eq!((samples.deleted, samples.repeated), (1, 1));
    }

    #[test]
    fn external_labels_replace_those_of_a_series() {
        let labels = Labels::from_pairs([("__name__", "up"), ("cluster", "mine")]);
        let external = [("cluster".to_owned(), "eu".to_owned())].into();

        let labels = labelled(labels.expect("labels"), &external);
        assert_eq!(labels.get("cluster"), Some("eu"));
        assert_eq!(labels.get("__name__"), Some("up"));
    }
}
