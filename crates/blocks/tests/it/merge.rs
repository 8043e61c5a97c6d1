//! A merged block is what a query over its inputs answers.

use duramen_blocks::{Error, MergeInput, MergeOptions, Merged};
use duramen_model::{BlockEntry, Content, ErrorKind, WriterId};
use object_store::ObjectStoreExt;
use rand::Rng;
use ulid::Ulid;

use crate::generate::Generator;
use crate::inputs::{Store, merge, query, siblings_of};

/// How many random sets a test tries. `DURAMEN_MERGE_SETS` sets it.
fn sets() -> u64 {
    let sets = std::env::var("DURAMEN_MERGE_SETS").ok();
    sets.and_then(|sets| sets.parse().ok()).unwrap_or(40)
}

/// Makes random blocks, flushed one after the other by up to `writers` writers.
async fn inputs(
    generator: &mut Generator,
    store: &mut Store,
    count: u64,
    writers: u128,
) -> Vec<MergeInput> {
    let mut inputs = Vec::new();

    for flush in 1..=count {
        let data = generator.data();
        let writer = generator.random().random_range(1..=writers);
        inputs.push(store.add(&data, writer, flush).await);
    }

    inputs
}

/// Returns the bytes of all files of a merge.
fn bytes(merged: &Merged) -> Vec<&(String, bytes::Bytes)> {
    merged
        .blocks
        .iter()
        .flat_map(|block| &block.files)
        .collect()
}

#[tokio::test]
async fn a_query_over_the_merged_blocks_answers_as_one_over_the_inputs() {
    for seed in 0..sets() {
        let mut generator = Generator::new(seed);
        let mut store = Store::default();
        let count = generator.random().random_range(1..6);
        let blocks = inputs(&mut generator, &mut store, count, 3).await;
        let series_max = [1, 2, 1000][generator.random().random_range(0..3)];

        let (expected, conflicts) = query(&blocks).await;
        let (outputs, merged) = store.merge(&blocks, &siblings_of(series_max)).await;
        let (found, left) = query(&outputs).await;

        assert_eq!(found, expected, "seed {seed}");
        assert_eq!(left, 0, "siblings have no series in common");

        let report = &merged.report;
        let counted: u64 = report.conflicts_by_writer().values().sum();
        assert_eq!(counted, conflicts, "seed {seed}");
        assert_eq!(report.series, expected.series.len() as u64);

        check_entries(&blocks, &merged);
    }
}

/// Asserts that the entries of the outputs agree with those of the inputs and with each other.
fn check_entries(inputs: &[MergeInput], merged: &Merged) {
    let orders = || inputs.iter().map(|input| input.entry.order);
    let contents = inputs.iter().map(|input| input.entry.content);
    let content = Content::of_merge(contents);
    let level = u8::from(inputs.len() > 1);
    let entries: Vec<&BlockEntry> = merged.blocks.iter().map(|block| &block.entry).collect();

    for entry in &entries {
        assert_eq!(
            entry.order.min,
            orders().map(|order| order.min).min().unwrap()
        );
        assert_eq!(
            entry.order.max,
            orders().map(|order| order.max).max().unwrap()
        );
        assert_eq!((entry.level, entry.content), (level, content));
    }

    let bounds: Vec<_> = entries
        .iter()
        .filter_map(|entry| entry.stats.names.as_ref())
        .collect();
    assert!(bounds.iter().all(|names| names.first <= names.last));
    assert!(bounds.is_sorted_by(|a, b| a.last <= b.first));
}

#[tokio::test]
async fn a_merge_of_merges_makes_the_bytes_of_one_merge() {
    for seed in 0..sets() {
        let mut generator = Generator::new(seed);
        let mut store = Store::default();
        let blocks = inputs(&mut generator, &mut store, 4, 1).await;
        let options = siblings_of([1, 3, 1000][generator.random().random_range(0..3)]);
        let other = siblings_of([1, 3, 1000][generator.random().random_range(0..3)]);

        let (_, at_once) = store.merge(&blocks, &options).await;

        // A run of blocks, next to each other by order, is merged first.
        let first = generator.random().random_range(0..3);
        let end = generator.random().random_range(first + 1..=4);
        let (run, _) = store.merge(&blocks[first..end], &other).await;
        let rest = [&blocks[..first], &run, &blocks[end..]].concat();
        let (_, in_steps) = store.merge(&rest, &options).await;

        assert_eq!(bytes(&in_steps), bytes(&at_once), "seed {seed}");

        let content = |merged: &Merged| merged.blocks[0].entry.content;
        assert_eq!(content(&in_steps), content(&at_once));
    }
}

#[tokio::test]
async fn a_merge_of_one_block_writes_the_same_block_again() {
    for seed in 0..sets() {
        let mut generator = Generator::new(seed);
        let mut store = Store::default();
        let blocks = inputs(&mut generator, &mut store, 1, 1).await;
        let (outputs, merged) = store.merge(&blocks, &MergeOptions::default()).await;

        let mut expected = blocks[0].entry.stats.clone();
        let found = &outputs[0].entry.stats;

        // The files are the same, byte by byte, because the options are the same.
        expected.names.clone_from(&found.names);
        assert_eq!(found, &expected, "seed {seed}");
        assert_eq!(merged.report.equal(), 0);
    }
}

#[tokio::test]
async fn conflicts_are_counted_for_the_writer_whose_sample_lost() {
    use duramen_model::{Labels, Life};

    use crate::generate::{Data, SeriesData};

    let data = |values: &[(i64, f64)]| Data {
        series: vec![(
            Labels::from_pairs([("__name__", "m")]).unwrap(),
            SeriesData {
                floats: values
                    .iter()
                    .map(|(ts_ms, value)| (*ts_ms, (*value, Life::NONE)))
                    .collect(),
                ..SeriesData::default()
            },
        )],
        families: vec![],
    };

    let mut store = Store::default();
    let first = store
        .add(&data(&[(1, 1.0), (2, 2.0), (3, 3.0)]), 7, 1)
        .await;
    let second = store
        .add(&data(&[(1, 1.0), (2, 0.5), (3, 0.5)]), 8, 2)
        .await;
    let third = store
        .add(&data(&[(3, 3.0), (4, 0.5), (1, 9.0)]), 9, 3)
        .await;

    // The order of the inputs counts, not their positions.
    let inputs = [third, first, second];
    let (_, merged) = store.merge(&inputs, &MergeOptions::default()).await;
    let report = &merged.report;
    let lost = report.conflicts_by_writer();

    assert_eq!(
        Vec::from_iter(lost),
        [(WriterId(Ulid(8)), 2), (WriterId(Ulid(9)), 1)]
    );
    assert_eq!((report.samples, report.samples_before()), (4, 9));
    assert_eq!(report.equal(), 2);
}

#[tokio::test]
async fn a_corrupt_input_fails_the_merge_and_is_named() {
    let mut generator = Generator::new(4);
    let mut store = Store::default();
    let mut blocks = Vec::new();

    while blocks.len() < 3 {
        let data = generator.data();
        let has_floats = data
            .series
            .iter()
            .any(|(_, series)| !series.floats.is_empty());

        if has_floats {
            blocks.push(store.add(&data, 1, blocks.len() as u64).await);
        }
    }

    let damaged = &blocks[1];

    for file in &damaged.entry.stats.files {
        let key = damaged.directory.clone().join(file.name.as_str());
        let good = store
            .objects
            .get(&key)
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        let mut bad = good.to_vec();
        bad[6] ^= 1;
        store.objects.put(&key, bad.into()).await.unwrap();

        let error = merge(&mut store, &blocks, &MergeOptions::default())
            .await
            .unwrap_err();

        let id = damaged.entry.id.to_string();
        assert!(matches!(error, Error::Source(_)), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(&id), "{error}");

        store.objects.put(&key, good.into()).await.unwrap();
    }

    merge(&mut store, &blocks, &MergeOptions::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn blocks_of_different_kinds_are_not_merged() {
    let mut generator = Generator::new(1);
    let mut store = Store::default();
    let blocks = inputs(&mut generator, &mut store, 2, 1).await;
    let [first, second] = blocks.try_into().unwrap();

    let change: [fn(&mut BlockEntry); 2] = [
        |entry| entry.resolution_ms = Some(300_000),
        |entry| entry.retention = "short".to_owned(),
    ];

    for change in change {
        let mut other = second.clone();
        change(&mut other.entry);

        let inputs = [first.clone(), other];
        let error = merge(&mut store, &inputs, &MergeOptions::default()).await;
        assert!(matches!(error, Err(Error::Mixed { .. })), "{error:?}");
    }

    let nothing = merge(&mut store, &[], &MergeOptions::default()).await;
    assert!(matches!(nothing, Err(Error::NoInput)), "{nothing:?}");

    // Inputs may lie in the folders of several tenants: the output lies in that of its own.
    let mut of_home = second.clone();
    of_home.entry.home = Some(crate::inputs::TENANT);
    let merged = merge(&mut store, &[first, of_home], &MergeOptions::default()).await;
    let merged = merged.unwrap();
    assert!(merged.blocks.iter().all(|block| block.entry.home.is_none()));
}
