//! The memory of a merge, as the allocator counts it. The test has a process of its own, so that
//! nothing else allocates.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::path::Path as FilePath;
use std::sync::Arc;

use duramen_block::{BlockWriter, SeriesContents, WriterOptions};
use duramen_blocks::{Error, MergeInput, MergeOptions, Merged, merge};
use duramen_model::{BlockEntry, BlockId, Content, ErrorKind, Labels, Order, TenantId, WriterId};
use duramen_runtime::{Disk, RealDisk};
use duramen_testkit::allocator::{Counting, Peak};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use ulid::Ulid;

const TENANT: TenantId = TenantId(Ulid(1));

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Row groups that are small beside the memory of these merges.
fn layout() -> WriterOptions {
    WriterOptions {
        row_group_rows_max: 16 << 10,
        ..WriterOptions::default()
    }
}

fn folder(id: BlockId) -> String {
    format!("block={id}")
}

fn id_of(block: u64) -> BlockId {
    BlockId(Ulid(u128::from(block)))
}

/// Writes a block of `series` series with so many samples each, which do not compress.
fn write(root: &FilePath, block: u64, series: u64, samples: i64) -> MergeInput {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let id = id_of(block);
    let mut writer = BlockWriter::create(&disk, &root.join(folder(id)), layout()).unwrap();
    let ts: Vec<i64> = (0..samples).map(|at| at * 15_000 + block as i64).collect();

    for series in 0..series {
        let number = format!("{series:06}");
        let labels = Labels::from_pairs([("__name__", "m"), ("series", &number)]).unwrap();
        let value = |ts: &i64| ((ts + 1) as f64 * (series + 1) as f64).sqrt();
        let values: Vec<f64> = ts.iter().map(value).collect();
        writer
            .push(&labels, &SeriesContents::floats(&ts, &values))
            .unwrap();
    }

    let order = Order {
        opened: block,
        writer: WriterId(Ulid(2)),
        flush: block,
    };

    let entry = BlockEntry::of_flush(
        id,
        order,
        Content::of_flush(TENANT, order, 0),
        writer.finish().unwrap(),
    );

    MergeInput {
        deletions: Vec::new(),
        entry,
        store: Arc::new(LocalFileSystem::new_with_prefix(root).unwrap()),
        directory: Path::from(folder(id)),
    }
}

/// Merges the inputs into the same folder. Returns the result, and how much more memory there was
/// at the peak than before.
async fn merge_within(
    root: &FilePath,
    inputs: &[MergeInput],
    first_id: u64,
    memory_bytes_max: usize,
) -> (Result<Merged, Error>, usize) {
    let options = MergeOptions {
        memory_bytes_max,
        ..MergeOptions::default()
    };

    let root = root.to_owned();
    let mut next = first_id;
    let create = move || {
        let id = id_of(next);
        next += 1;

        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let writer = BlockWriter::create(&disk, &root.join(folder(id)), layout())?;
        Ok((id, writer))
    };

    let peak = Peak::start();

    let merged = merge(inputs.to_vec(), &options, &Arc::default(), create).await;
    (merged, peak.bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_stays_within_its_memory_whatever_comes_in() {
    const MEMORY: usize = 8 << 20;

    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();

    // Four inputs of 6 MiB each, decoded: three times the memory.
    let inputs: Vec<MergeInput> = (0..4).map(|block| write(root, block, 400, 1000)).collect();
    let (merged, peak) = merge_within(root, &inputs, 100, MEMORY).await;
    let merged = merged.unwrap();

    assert_eq!(
        (merged.report.series, merged.report.samples),
        (400, 1_600_000)
    );
    assert!(peak < MEMORY, "{peak}");

    // A single long series: it is a batch alone, and fits with its merged form.
    let long: Vec<MergeInput> = (10..12)
        .map(|block| write(root, block, 1, 40_000))
        .collect();
    let (merged, peak) = merge_within(root, &long, 200, MEMORY).await;
    assert_eq!(merged.unwrap().report.samples, 80_000);
    assert!(peak < MEMORY, "{peak}");

    // A series that cannot fit is refused before it is decoded.
    let too_long = [write(root, 20, 1, 1_000_000), write(root, 21, 1, 10)];
    let (merged, peak) = merge_within(root, &too_long, 300, MEMORY).await;
    let error = merged.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();

    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        cause.contains("no memory for a batch of samples") && cause.contains(&folder(id_of(20))),
        "{cause}"
    );
    assert!(peak < MEMORY, "{peak}");
}
