//! Writes `index`. The layout of symbols and series is in [`crate::index`]. Behind the series are:
//!
//! ```text
//! postings := (length:u32be count:u32be series:u32be* crc32c:u32be)*             for each label
//! table    := length:u32be count:u32be (2:u8 name value postings:uvarint)* crc32c:u32be
//! ```
//!
//! The first postings are those of all series, with an empty name and value. The tables of label
//! names, which nobody reads any more, are empty.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use duramen_model::Labels;
use duramen_runtime::Disk;

use crate::error::Error;
use crate::index::{ALIGNMENT, MAGIC, VERSION};
use crate::write::output::Output;
use crate::write::put::{put_checksum, put_text, put_uvarint};

/// What a table has for each label: the number of texts that follow.
const KEYS_OF_A_POSTING: u8 = 2;
const POSTINGS_ALIGNMENT: u64 = 4;

/// A series of an index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexSeries<'a> {
    pub(crate) labels: &'a Labels,
    /// The count of its chunks and the chunks, encoded as an entry has them.
    pub(crate) chunks: &'a [u8],
}

/// Writes the index of `series`, which are in the order of a TSDB. Returns its length.
///
/// Memory: two numbers for each label of each series, and the table of postings.
pub(crate) fn write(
    disk: &Arc<dyn Disk>,
    path: PathBuf,
    series: &[IndexSeries<'_>],
) -> Result<u64, Error> {
    let mut output = Output::create(disk, path.clone())?;
    let mut head = MAGIC.to_be_bytes().to_vec();
    head.push(VERSION);
    output.put(&head)?;

    let labels = Numbered::of(series);
    let mut sections = vec![output.length()];
    let mut table = Vec::new();

    put_count(labels.texts.len(), &mut table, &path)?;
    for text in &labels.texts {
        put_text(text, &mut table);
    }
    put_section(&mut output, &table, &path)?;

    output.pad(ALIGNMENT)?;
    sections.push(output.length());
    let references = put_series(&mut output, series, &labels, &path)?;

    // The indices of label names.
    output.pad(POSTINGS_ALIGNMENT)?;
    sections.push(output.length());
    put_section(&mut output, &0_u32.to_be_bytes(), &path)?;

    let postings_at = output.length();
    let table = put_postings(&mut output, &labels, &references, &path)?;

    // The table of the indices of label names.
    sections.push(output.length());
    put_section(&mut output, &0_u32.to_be_bytes(), &path)?;

    sections.push(postings_at);
    sections.push(output.length());
    put_section(&mut output, &table, &path)?;

    let mut contents: Vec<u8> = sections.into_iter().flat_map(u64::to_be_bytes).collect();
    let checksum = crc32c::crc32c(&contents);
    contents.extend_from_slice(&checksum.to_be_bytes());

    output.put(&contents)?;
    output.finish()
}

/// The labels of all series as numbers of texts.
struct Numbered<'a> {
    /// All texts, sorted.
    texts: Vec<&'a str>,
    /// The labels of all series, one after the other.
    pairs: Vec<(u32, u32)>,
    /// Where the labels of each series end.
    ends: Vec<usize>,
}

impl<'a> Numbered<'a> {
    fn of(series: &[IndexSeries<'a>]) -> Self {
        let mut numbers: HashMap<&'a str, u32> = HashMap::new();
        let mut met: Vec<&'a str> = Vec::new();
        let mut pairs = Vec::new();
        let mut ends = Vec::with_capacity(series.len());

        let mut number = |text: &'a str| {
            *numbers.entry(text).or_insert_with(|| {
                met.push(text);
                u32::try_from(met.len() - 1).unwrap_or(u32::MAX)
            })
        };

        for one in series {
            for (name, value) in one.labels {
                pairs.push((number(name), number(value)));
            }

            ends.push(pairs.len());
        }

        let mut order: Vec<u32> = (0..).take(met.len()).collect();
        let text = |at: &u32| met.get(*at as usize).copied().unwrap_or("");
        order.sort_unstable_by_key(text);

        let mut ranks = vec![0; met.len()];
        for (rank, at) in (0..).zip(&order) {
            if let Some(place) = ranks.get_mut(*at as usize) {
                *place = rank;
            }
        }

        let rank = |at: u32| ranks.get(at as usize).copied().unwrap_or(0);
        for (name, value) in &mut pairs {
            (*name, *value) = (rank(*name), rank(*value));
        }

        let texts = order.iter().map(text).collect();
        Self { texts, pairs, ends }
    }

    /// Returns the labels of each series.
    fn series(&self) -> impl Iterator<Item = &[(u32, u32)]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let spans = starts.zip(&self.ends);
        spans.map(|(start, end)| self.pairs.get(start..*end).unwrap_or_default())
    }
}

/// Writes the entries of all series. Returns their references.
fn put_series(
    output: &mut Output,
    series: &[IndexSeries<'_>],
    labels: &Numbered<'_>,
    path: &std::path::Path,
) -> Result<Vec<u32>, Error> {
    let mut references = Vec::with_capacity(series.len());
    let mut entry = Vec::new();
    let mut framed = Vec::new();

    for (one, pairs) in series.iter().zip(labels.series()) {
        entry.clear();
        put_uvarint(pairs.len() as u64, &mut entry);

        for (name, value) in pairs {
            put_uvarint(u64::from(*name), &mut entry);
            put_uvarint(u64::from(*value), &mut entry);
        }

        entry.extend_from_slice(one.chunks);

        framed.clear();
        put_uvarint(entry.len() as u64, &mut framed);
        framed.extend_from_slice(&entry);
        put_checksum(&entry, &mut framed);

        output.pad(ALIGNMENT)?;
        let reference = u32::try_from(output.length() / ALIGNMENT);
        references.push(reference.map_err(|_| too_large(path))?);
        output.put(&framed)?;
    }

    Ok(references)
}

/// Writes the postings of all labels. Returns the table that finds them.
fn put_postings(
    output: &mut Output,
    labels: &Numbered<'_>,
    references: &[u32],
    path: &std::path::Path,
) -> Result<Vec<u8>, Error> {
    let mut all: Vec<(u32, u32, u32)> = Vec::with_capacity(labels.pairs.len());

    for (pairs, reference) in labels.series().zip(references) {
        all.extend(
            pairs
                .iter()
                .map(|(name, value)| (*name, *value, *reference)),
        );
    }

    all.sort_unstable();
    let lists = all.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1));

    let mut table = Vec::new();
    let mut list = Vec::new();
    put_count(1 + lists.clone().count(), &mut table, path)?;

    let mut put = |name: &str, value: &str, list: &[u32]| {
        let mut bytes = Vec::with_capacity(4 * (list.len() + 1));
        put_count(list.len(), &mut bytes, path)?;
        bytes.extend(list.iter().flat_map(|reference| reference.to_be_bytes()));

        output.pad(POSTINGS_ALIGNMENT)?;
        table.push(KEYS_OF_A_POSTING);
        put_text(name, &mut table);
        put_text(value, &mut table);
        put_uvarint(output.length(), &mut table);
        put_section(output, &bytes, path)
    };

    put("", "", references)?;

    for of_label in lists {
        let text = |number: u32| labels.texts.get(number as usize).copied().unwrap_or("");
        let Some((name, value, _)) = of_label.first() else {
            continue;
        };

        list.clear();
        list.extend(of_label.iter().map(|(_, _, reference)| *reference));
        put(text(*name), text(*value), &list)?;
    }

    Ok(table)
}

/// Writes a length, bytes, and their checksum.
fn put_section(output: &mut Output, bytes: &[u8], path: &std::path::Path) -> Result<(), Error> {
    let length = u32::try_from(bytes.len()).map_err(|_| too_large(path))?;

    output.put(&length.to_be_bytes())?;
    output.put(bytes)?;
    output.put(&crc32c::crc32c(bytes).to_be_bytes())
}

fn put_count(count: usize, out: &mut Vec<u8>, path: &std::path::Path) -> Result<(), Error> {
    let count = u32::try_from(count).map_err(|_| too_large(path))?;
    out.extend_from_slice(&count.to_be_bytes());
    Ok(())
}

fn too_large(path: &std::path::Path) -> Error {
    Error::Unsupported {
        path: path.to_owned(),
        what: "an index cannot have so many series".to_owned(),
    }
}
