//! Makes blocks in a store, and reads them as queries do.

use std::sync::Arc;

use bytes::Bytes;
use duramen_block::{
    Block, BlockLimits, BlockSource, BlockWriter, OpenOptions, SeriesContents, WriterOptions,
};
use duramen_blocks::{MergeInput, MergeOptions, Merged, MergedBlock, metadata};
use duramen_metrics::Counter;
use duramen_model::{BlockEntry, BlockId, Content, Life, Order, TenantId, WriterId};
use duramen_source::{HistogramRef, MergeSource, Part, Reads, SeriesSource};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use ulid::Ulid;

use crate::contents::{Contents, read};
use crate::generate::Data;

pub(crate) const TENANT: TenantId = TenantId(Ulid(1));

/// A store with blocks. Ids count up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    pub(crate) objects: Arc<InMemory>,
    blocks: u128,
}

impl Store {
    pub(crate) fn next_id(&mut self) -> BlockId {
        self.blocks += 1;
        BlockId(Ulid(self.blocks))
    }

    /// Writes a block of flush `flush` of `writer`, as a flush does.
    pub(crate) async fn add(&mut self, data: &Data, writer: u128, flush: u64) -> MergeInput {
        let id = self.next_id();
        let order = Order {
            opened: flush,
            writer: WriterId(Ulid(writer)),
            flush,
        };

        let (stats, files) = write(data).finish_in_memory().unwrap();
        let entry = BlockEntry::of_flush(id, order, Content::of_flush(TENANT, order, 0), stats);

        self.put(entry, files).await
    }

    /// Puts the files of a block into the store.
    pub(crate) async fn put(
        &mut self,
        entry: BlockEntry,
        files: Vec<(String, Bytes)>,
    ) -> MergeInput {
        let directory = directory(entry.id);

        for (name, bytes) in files {
            let key = directory.clone().join(name);
            self.objects.put(&key, bytes.into()).await.unwrap();
        }

        self.input(entry)
    }

    pub(crate) fn input(&self, entry: BlockEntry) -> MergeInput {
        MergeInput {
            directory: directory(entry.id),
            store: Arc::clone(&self.objects) as Arc<dyn ObjectStore>,
            deletions: Vec::new(),
            entry,
        }
    }

    /// Merges blocks, and puts the outputs into the store.
    pub(crate) async fn merge(
        &mut self,
        inputs: &[MergeInput],
        options: &MergeOptions,
    ) -> (Vec<MergeInput>, Merged) {
        let mut merged = merge(self, inputs, options).await.unwrap();
        let mut outputs = Vec::new();

        for MergedBlock { entry, files } in &merged.blocks {
            outputs.push(self.put(entry.clone(), files.clone()).await);
        }

        merged.blocks.sort_by_key(|block| block.entry.id);
        (outputs, merged)
    }
}

pub(crate) async fn merge(
    store: &mut Store,
    inputs: &[MergeInput],
    options: &MergeOptions,
) -> Result<Merged, duramen_blocks::Error> {
    let mut ids = store.clone();
    // Ids of failed merges are not used again.
    store.blocks += 1000;

    let create = move || {
        let writer = BlockWriter::in_memory(WriterOptions::default());
        Ok((ids.next_id(), writer))
    };

    duramen_blocks::merge(inputs.to_vec(), options, &Arc::default(), create).await
}

/// Options with blocks of about so many series.
pub(crate) fn siblings_of(series_max: usize) -> MergeOptions {
    MergeOptions {
        limits: BlockLimits {
            series_max,
            ..BlockLimits::default()
        },
        ..MergeOptions::default()
    }
}

fn directory(id: BlockId) -> Path {
    Path::from(format!("t/tenant/blocks/block={id}"))
}

/// Writes a block into memory.
fn write(data: &Data) -> BlockWriter {
    let mut writer = BlockWriter::in_memory(WriterOptions::default());

    for (labels, series) in &data.series {
        let ts: Vec<i64> = series.floats.keys().copied().collect();
        let values: Vec<f64> = series.floats.values().map(|(value, _)| *value).collect();
        let lives: Vec<Life> = series.floats.values().map(|(_, life)| *life).collect();
        let histograms: Vec<_> = series
            .histograms
            .iter()
            .map(|(ts_ms, (life, bytes))| HistogramRef {
                ts_ms: *ts_ms,
                life: *life,
                bytes,
            })
            .collect();

        let contents = SeriesContents {
            ts_ms: &ts,
            values: &values,
            lives: &lives,
            histograms: &histograms,
            exemplars: &series.exemplars,
            rollups: &[],
        };
        writer.push(labels, &contents).unwrap();
    }

    writer.set_metadata(data.families.clone()).unwrap();
    writer
}

pub(crate) async fn open(input: &MergeInput) -> BlockSource {
    let block = Block::open(
        Arc::clone(&input.store),
        input.directory.clone(),
        &input.entry.stats,
        OpenOptions::default(),
        &Reads::default(),
    )
    .await
    .unwrap();

    block.verify().await.unwrap();
    BlockSource::new(block)
}

/// Returns what a query over these blocks answers, and how many samples lose a conflict.
pub(crate) async fn query(blocks: &[MergeInput]) -> (Contents, u64) {
    let conflicts = Counter::default();
    let all = parts(blocks.iter().collect()).await;
    let mut contents = read(&MergeSource::new(all, conflicts.clone())).await;

    let entries: Vec<_> = blocks
        .iter()
        .map(|block| Arc::new(block.entry.clone()))
        .collect();

    let newest = metadata::newest(entries.iter());
    let is_newest = |block: &&MergeInput| newest.values().any(|entry| entry.id == block.entry.id);
    let newest = parts(blocks.iter().filter(is_newest).collect()).await;
    let families = MergeSource::new(newest, Counter::default());
    contents.families = families.metadata().await.unwrap();

    (contents, conflicts.get())
}

async fn parts(blocks: Vec<&MergeInput>) -> Vec<Part> {
    let mut parts = Vec::new();

    for block in blocks {
        parts.push(Part {
            order: block.entry.order.min,
            source: Arc::new(open(block).await),
            holds_samples: true,
        });
    }

    parts
}
