//! The requests of a merge.

use std::sync::Arc;

use duramen_block::{BlockWriter, WriterOptions};
use duramen_blocks::{MergeInput, MergeOptions, merge};
use duramen_model::{Exemplar, Labels, Life};
use duramen_source::{Read, Reads};

use crate::generate::{Data, SeriesData};
use crate::inputs::Store;

/// The data of `series` series with so many floats each, from a time on.
fn data(series: i32, floats: i64, start_ms: i64, with_exemplars: bool) -> Data {
    let one = |number: i32| {
        let number_text = format!("{number:05}");
        let labels = Labels::from_pairs([("__name__", "m"), ("series", &number_text)]).unwrap();
        let value = |ts_ms: i64| f64::from(number) + (ts_ms % 1000) as f64 / 7.0;
        let exemplar = Exemplar {
            ts_ms: start_ms,
            value: 1.0,
            labels: Labels::empty(),
        };

        let data = SeriesData {
            floats: (start_ms..start_ms + floats)
                .map(|ts_ms| (ts_ms, (value(ts_ms), Life::NONE)))
                .collect(),
            exemplars: with_exemplars.then_some(exemplar).into_iter().collect(),
            ..SeriesData::default()
        };
        (labels, data)
    };

    Data {
        series: (0..series).map(one).collect(),
        families: vec![],
    }
}

/// Merges, and returns the number of GETs.
async fn gets(inputs: &[MergeInput], memory_bytes_max: usize) -> u64 {
    let reads = Arc::new(Reads::default());
    let options = MergeOptions {
        memory_bytes_max,
        ..MergeOptions::default()
    };

    let mut ids = Store::default();
    let create = move || {
        let writer = BlockWriter::in_memory(WriterOptions::default());
        Ok((ids.next_id(), writer))
    };

    merge(inputs.to_vec(), &options, &reads, create)
        .await
        .unwrap();
    reads.get(Read::Gets)
}

#[tokio::test]
async fn a_merge_reads_each_file_once_from_front_to_back() {
    let mut store = Store::default();
    let mut inputs = Vec::new();

    for flush in 0..3 {
        let data = data(300, 100, flush * 100, true);
        inputs.push(store.add(&data, 1, flush.unsigned_abs()).await);
    }

    // Of each input: `meta` and the series file side by side, the samples, the exemplars.
    assert_eq!(gets(&inputs, 512 << 20).await, 3 * 4);

    // A small memory makes small batches: fourteen for the 300 series of an input. A batch is one
    // trip of one GET, because all its columns are next to each other. Batches that are read at the
    // same time share a GET of the same bytes.
    let in_batches = gets(&inputs, 1 << 20).await;
    assert!((13..=3 * (3 + 14)).contains(&in_batches), "{in_batches}");
}
