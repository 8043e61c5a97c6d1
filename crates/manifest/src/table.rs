//! The compact form of entries: one JSON array for each field.
//!
//! Value `n` of an array belongs to block `n`. An array is absent if all its values are the
//! default. `writers` and `file_sets` are dictionaries: other arrays have indexes into them.

use std::sync::Arc;

use duramen_model::{
    BlockEntry, BlockFile, BlockId, BlockStats, Content, NameBounds, Order, OrderRange, RolledDay,
    TenantId, WriterId,
};
use serde::{Deserialize, Serialize};

use crate::entry::{FILES_MAX, is_file};

/// The entries of blocks, field by field. A field of a later version is refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    writers: Vec<WriterId>,
    file_sets: Vec<Vec<String>>,
    id: Vec<BlockId>,
    content: Vec<Content>,
    level: Vec<u8>,
    #[serde(default, skip_serializing_if = "are_default")]
    resolution_ms: Vec<Option<i64>>,
    #[serde(default, skip_serializing_if = "are_default")]
    retention: Vec<String>,
    #[serde(default, skip_serializing_if = "are_default")]
    home: Vec<Option<TenantId>>,
    /// The days of a rollup: their starts and the contents of their samples.
    #[serde(default, skip_serializing_if = "are_default")]
    rolled: Vec<Vec<DayRow>>,
    order: Vec<OrderRow>,
    /// The last order of a block; null if it is the first one too.
    #[serde(default, skip_serializing_if = "are_default")]
    last_order: Vec<Option<OrderRow>>,
    min_ts_ms: Vec<i64>,
    max_ts_ms: Vec<i64>,
    #[serde(default, skip_serializing_if = "are_default")]
    names: Vec<Option<(String, String)>>,
    series: Vec<u64>,
    samples: Vec<u64>,
    #[serde(default, skip_serializing_if = "are_default")]
    histograms: Vec<u64>,
    #[serde(default, skip_serializing_if = "are_default")]
    exemplars: Vec<u64>,
    #[serde(default, skip_serializing_if = "are_default")]
    families: Vec<u64>,
    #[serde(default, skip_serializing_if = "are_default")]
    ttl_max_ms: Vec<i64>,
    /// An index into `file_sets` for each block.
    file_set: Vec<usize>,
    /// The sizes of the files of the first block, then those of the second, and so on.
    file_bytes: Vec<u64>,
    meta_bytes: Vec<u64>,
    meta_crc32c: Vec<u32>,
}

/// An order: its milliseconds, its counter, the index of its writer, its flush.
///
/// `opened` is split, because JSON tools are exact only up to 2^53.
type OrderRow = (u64, u16, usize, u64);

/// A day of a rollup: its start, and the contents of its samples.
type DayRow = (i64, Vec<Content>);

fn are_default<T: Default + PartialEq>(column: &[T]) -> bool {
    column.iter().all(|value| *value == T::default())
}

/// Returns the index of `value` in `dictionary`, and adds it if it is not there. The last values
/// are the likely ones.
fn index_of<T: Clone + PartialEq>(dictionary: &mut Vec<T>, value: &T) -> usize {
    let found = dictionary.iter().rposition(|known| known == value);

    found.unwrap_or_else(|| {
        dictionary.push(value.clone());
        dictionary.len() - 1
    })
}

impl Table {
    /// Makes the table of `entries`.
    pub(crate) fn of<'a>(entries: impl IntoIterator<Item = &'a Arc<BlockEntry>>) -> Self {
        let mut table = Self::default();
        for entry in entries {
            table.push(entry);
        }

        table
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.id.is_empty()
    }

    fn push(&mut self, entry: &BlockEntry) {
        let OrderRange { min, max } = entry.order;
        let stats = &entry.stats;
        let names = stats.names.as_ref();
        let set: Vec<String> = stats.files.iter().map(|file| file.name.clone()).collect();

        self.id.push(entry.id);
        self.content.push(entry.content);
        self.level.push(entry.level);
        self.resolution_ms.push(entry.resolution_ms);
        self.retention.push(entry.retention.clone());
        self.home.push(entry.home);
        let days = entry.rolled.iter();
        self.rolled.push(
            days.map(|day| (day.start_ms, day.contents.clone()))
                .collect(),
        );

        let first = self.order_row(min);
        let last = (max != min).then(|| self.order_row(max));
        self.order.push(first);
        self.last_order.push(last);

        self.min_ts_ms.push(stats.min_ts_ms);
        self.max_ts_ms.push(stats.max_ts_ms);
        self.names
            .push(names.map(|names| (names.first.clone(), names.last.clone())));

        self.series.push(stats.series);
        self.samples.push(stats.samples);
        self.histograms.push(stats.histograms);
        self.exemplars.push(stats.exemplars);
        self.families.push(stats.families);
        self.ttl_max_ms.push(stats.ttl_max_ms);

        self.file_set.push(index_of(&mut self.file_sets, &set));
        self.file_bytes
            .extend(stats.files.iter().map(|file| file.bytes));
        self.meta_bytes.push(stats.meta_bytes);
        self.meta_crc32c.push(stats.meta_crc32c);
    }

    fn order_row(&mut self, order: Order) -> OrderRow {
        let Order {
            opened,
            writer,
            flush,
        } = order;

        let counter = u16::try_from(opened & 0xffff).expect("16 bits are left");
        let writer = index_of(&mut self.writers, &writer);
        (opened >> 16, counter, writer, flush)
    }

    /// Returns the entries of the table.
    ///
    /// # Errors
    /// A text that says which rule the table breaks.
    pub(crate) fn entries(mut self) -> Result<Vec<Arc<BlockEntry>>, &'static str> {
        if !self.has_even_columns() {
            return Err("the columns of the entries differ in length");
        }

        let sets_are_sound = self
            .file_sets
            .iter()
            .all(|set| set.len() <= FILES_MAX && set.iter().all(|name| is_file(name)));
        if !sets_are_sound {
            return Err("a set of files has too many of them, or one with a name that is none");
        }

        let mut bytes = std::mem::take(&mut self.file_bytes).into_iter();
        let entries: Result<Vec<_>, _> = (0..self.id.len())
            .map(|row| self.take_entry(row, &mut bytes).map(Arc::new))
            .collect();

        match (entries, bytes.next()) {
            (Ok(_), Some(_)) => Err("the entries have more sizes than files"),
            (entries, _) => entries,
        }
    }

    /// Whether each column has a value for each block. One that may be absent may be empty.
    fn has_even_columns(&self) -> bool {
        let blocks = self.id.len();

        let always = [
            self.content.len(),
            self.level.len(),
            self.order.len(),
            self.min_ts_ms.len(),
            self.max_ts_ms.len(),
            self.series.len(),
            self.samples.len(),
            self.file_set.len(),
            self.meta_bytes.len(),
            self.meta_crc32c.len(),
        ];

        let sometimes = [
            self.resolution_ms.len(),
            self.retention.len(),
            self.home.len(),
            self.rolled.len(),
            self.last_order.len(),
            self.names.len(),
            self.histograms.len(),
            self.exemplars.len(),
            self.families.len(),
            self.ttl_max_ms.len(),
        ];

        always.iter().all(|length| *length == blocks)
            && sometimes
                .iter()
                .all(|length| *length == blocks || *length == 0)
    }

    /// Returns the entry of block `row`. Its texts are taken out of the table.
    fn take_entry(
        &mut self,
        row: usize,
        file_bytes: &mut impl Iterator<Item = u64>,
    ) -> Result<BlockEntry, &'static str> {
        let min = self.order_at(self.order[row])?;
        let max = match value_at(&self.last_order, row) {
            Some(last) => self.order_at(last)?,
            None => min,
        };

        let names = self.names.get_mut(row).and_then(Option::take);
        let rolled = self.rolled.get_mut(row).map(std::mem::take);
        let rolled = rolled.unwrap_or_default();
        let set = self
            .file_sets
            .get(self.file_set[row])
            .ok_or("an entry has a set of files that is not there")?;

        let files = set.iter().map(|name| {
            let bytes = file_bytes
                .next()
                .ok_or("the entries have fewer sizes than files")?;

            Ok(BlockFile {
                name: name.clone(),
                bytes,
            })
        });

        let stats = BlockStats {
            series: self.series[row],
            samples: self.samples[row],
            histograms: value_at(&self.histograms, row),
            exemplars: value_at(&self.exemplars, row),
            families: value_at(&self.families, row),
            ttl_max_ms: value_at(&self.ttl_max_ms, row),
            min_ts_ms: self.min_ts_ms[row],
            max_ts_ms: self.max_ts_ms[row],
            names: names.map(|(first, last)| NameBounds { first, last }),
            files: files.collect::<Result<_, &'static str>>()?,
            meta_bytes: self.meta_bytes[row],
            meta_crc32c: self.meta_crc32c[row],
        };

        Ok(BlockEntry {
            id: self.id[row],
            order: OrderRange { min, max },
            level: self.level[row],
            resolution_ms: value_at(&self.resolution_ms, row),
            retention: self
                .retention
                .get_mut(row)
                .map(std::mem::take)
                .unwrap_or_default(),
            home: value_at(&self.home, row),
            content: self.content[row],
            rolled: rolled.into_iter().map(rolled_day).collect(),
            stats,
        })
    }

    fn order_at(&self, row: OrderRow) -> Result<Order, &'static str> {
        let (opened_ms, counter, writer, flush) = row;
        let writer = self
            .writers
            .get(writer)
            .ok_or("an order has a writer that is not there")?;

        if opened_ms >> 48 != 0 {
            return Err("an order is beyond all times");
        }

        Ok(Order {
            opened: opened_ms << 16 | u64::from(counter),
            writer: *writer,
            flush,
        })
    }
}

fn rolled_day((start_ms, contents): DayRow) -> RolledDay {
    RolledDay { start_ms, contents }
}

/// Returns the value of block `row` in a column that may be absent.
fn value_at<T: Copy + Default>(column: &[T], row: usize) -> T {
    column.get(row).copied().unwrap_or_default()
}

/// What the numbers of an entry, a day of a rollup, one of its contents, and a file take in JSON.
const NUMBERS_BYTES: usize = 300;
const DAY_BYTES: usize = 30;
const CONTENT_BYTES: usize = 36;
const FILE_BYTES: usize = 12;

/// Estimates the JSON of an entry in a table.
pub(crate) fn text_bytes(entry: &BlockEntry) -> usize {
    let names = entry.stats.names.as_ref();
    let names = names.map_or(0, |names| {
        quoted_bytes(&names.first) + quoted_bytes(&names.last)
    });

    let days = entry.rolled.iter();
    let day_bytes = |day: &RolledDay| DAY_BYTES + CONTENT_BYTES * day.contents.len();
    let rolled: usize = days.map(day_bytes).sum();
    let files = FILE_BYTES * entry.stats.files.len();

    NUMBERS_BYTES + names + rolled + entry.retention.len() + files
}

/// Returns at least the length of a text in JSON.
fn quoted_bytes(text: &str) -> usize {
    let is_escaped = |byte: &u8| *byte < 0x20 || b"\"\\".contains(byte);
    text.len() + 5 * text.bytes().filter(is_escaped).count() + 3
}
