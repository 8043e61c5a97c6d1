use std::sync::atomic::{AtomicUsize, Ordering};

use duramen_block::Error as BlockError;
use duramen_limits::QueryLimits;
use duramen_model::{ErrorKind, Labels, Order, Sample, TimeRange, WriterId};
use duramen_source::{Columns, MemorySource, MergeSource, Part, SeriesBatch};
use futures::TryStreamExt;
use object_store::path::Path;
use ulid::Ulid;

use super::*;
use crate::partial::{Partial, left_out, settled};

/// A block of four series, two in a batch. Its second batch fails from the `fails_from`-th selection
/// on.
#[derive(Debug)]
struct Failing {
    source: MemorySource,
    selections: AtomicUsize,
    fails_from: usize,
    error: fn() -> Error,
}

fn damaged() -> Error {
    let key = Path::from("t/1/blocks/block=1/samples.parquet");
    let error = BlockError::Checksum {
        key,
        offset: 0,
        expected: 1,
        actual: 2,
    };

    error.of_block(&Path::from("t/1/blocks/block=1"))
}

fn without_memory() -> Error {
    let account = duramen_qos::Account::new(1);
    let budget = duramen_qos::Budget::of_query(&account, usize::MAX);
    let exceeded = budget.reserve(1 << 20).unwrap_err();

    Error::memory("a block", exceeded)
}

fn series(names: &[&str], value: f64) -> MemorySource {
    let mut source = MemorySource::default();
    for name in names {
        let labels = Labels::from_pairs([("__name__", *name)]).unwrap();
        source.push(labels, [Sample::new(1, value)]);
    }

    source
}

fn failing(fails_from: usize, error: fn() -> Error) -> Failing {
    Failing {
        source: series(&["a", "b", "c", "d"], 1.0),
        selections: AtomicUsize::new(0),
        fails_from,
        error,
    }
}

#[async_trait]
impl SeriesSource for Failing {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error> {
        let selection = self.selections.fetch_add(1, Ordering::Relaxed);
        let fails = selection >= self.fails_from;
        let error = self.error;
        let batches = self.source.select(request).await?;

        Ok(Box::pin(batches.enumerate().map(
            move |(at, batch)| match fails && at == 1 {
                true => Err(error()),
                false => batch,
            },
        )))
    }

    async fn exemplars(&self, _: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        Err((self.error)())
    }

    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, Error> {
        Err((self.error)())
    }

    async fn ttl_max_ms(&self) -> Result<i64, Error> {
        Ok(0)
    }
}

fn request() -> SeriesRequest {
    SeriesRequest {
        matchers: Arc::new([]),
        range: TimeRange::new(0, 10).unwrap(),
        columns: Columns::Samples,
        batch_series_max: 2,
        reads: Arc::default(),
    }
}

fn names(batches: &[SeriesBatch]) -> Vec<String> {
    let name = |batch: &SeriesBatch, row| {
        let labels = Labels::from_encoded_trusted(batch.labels_at(row));
        labels.get("__name__").unwrap_or_default().to_owned()
    };

    batches
        .iter()
        .flat_map(|batch| (0..batch.len()).map(move |row| name(batch, row)))
        .collect()
}

/// Selects everything `times` times from the failing block and another one, as one request.
async fn selected(
    block: Failing,
    times: usize,
    partial: bool,
) -> Result<Partial<Vec<Vec<String>>>, crate::Error> {
    let left_out = left_out(Some(partial), &QueryLimits::default());
    let other = Arc::new(series(&["c", "e"], 2.0));
    let block: Arc<dyn SeriesSource> = match &left_out {
        None => Arc::new(block),
        Some(left_out) => {
            let open = std::future::ready(Ok(block));
            let name = Arc::from("block 1");
            let optional = OptionalBlock::open(name, Arc::clone(left_out), open).await;
            Arc::new(optional.unwrap().unwrap())
        }
    };

    let part = |source: Arc<dyn SeriesSource>| Part {
        order: Order {
            opened: 0,
            writer: WriterId(Ulid::nil()),
            flush: 0,
        },
        source,
        holds_samples: true,
    };

    let merged = MergeSource::new(
        vec![part(block), part(other)],
        duramen_metrics::Counter::default(),
    );

    let run = || async {
        let mut all = Vec::new();
        for _ in 0..times {
            let batches = merged.select(&request()).await?;
            let batches: Vec<_> = batches.try_collect().await?;
            all.push(names(&batches));
        }

        Ok(all)
    };

    settled(left_out.as_deref(), run).await
}

#[tokio::test]
async fn a_block_that_fails_in_the_middle_is_left_out_as_a_whole() {
    let found = selected(failing(0, damaged), 1, true).await.unwrap();

    assert_eq!(found.value, [["c", "e"]], "nothing of a half-read block");
    assert_eq!(
        found.left_out,
        ["partial answer: block 1 is left out: its file samples.parquet is damaged"]
    );

    let error = selected(failing(0, damaged), 1, false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(
        error.is_damage() && error.to_string().contains("block=1"),
        "{error}"
    );
}

#[tokio::test]
async fn a_block_that_one_selector_could_read_is_left_out_of_all() {
    let found = selected(failing(1, damaged), 3, true).await.unwrap();

    assert_eq!(found.value, vec![["c", "e"]; 3]);
    assert_eq!(found.left_out.len(), 1);
}

#[tokio::test]
async fn an_answer_that_lacks_nothing_has_no_warning() {
    let found = selected(failing(9, damaged), 2, true).await.unwrap();

    assert_eq!(found.value, vec![["a", "b", "c", "d", "e"]; 2]);
    assert!(found.left_out.is_empty(), "{found:?}");
}

#[tokio::test]
async fn a_want_of_memory_is_an_error_whatever_was_asked_for() {
    let error = selected(failing(0, without_memory), 1, true)
        .await
        .unwrap_err();

    assert_eq!(error.limit(), Some("process_memory_bytes_max"), "{error}");
}

#[tokio::test]
async fn answers_that_are_no_streams_are_whole_or_empty() {
    let left_out = Arc::new(LeftOut::default());
    let open = std::future::ready(Ok(failing(0, damaged)));
    let block = OptionalBlock::open(Arc::from("block 1"), Arc::clone(&left_out), open)
        .await
        .unwrap()
        .unwrap();

    left_out.begin();

    assert_eq!(block.exemplars(&request()).await.unwrap(), []);
    assert_eq!(
        block.label_names(&request()).await.unwrap(),
        BTreeSet::new()
    );
    assert_eq!(left_out.end().map(|warnings| warnings.len()), Some(1));

    let open = std::future::ready(Err::<Failing, _>(damaged()));
    let name = Arc::from("block 2");
    let unopened = OptionalBlock::open(name, Arc::clone(&left_out), open).await;

    assert!(unopened.unwrap().is_none());
    assert_eq!(left_out.end().map(|warnings| warnings.len()), Some(2));
}

#[tokio::test]
async fn a_stream_ends_where_another_read_finds_the_block_unreadable() {
    let left_out = Arc::new(LeftOut::default());
    let name = Arc::<str>::from("block 1");
    let open = std::future::ready(Ok(failing(9, damaged)));
    let block = OptionalBlock::open(Arc::clone(&name), Arc::clone(&left_out), open)
        .await
        .unwrap()
        .unwrap();

    left_out.begin();

    let batches = block.select(&request()).await.unwrap();
    left_out.leave_out(&name, "it is damaged");

    let batches: Vec<_> = batches.try_collect().await.unwrap();
    assert!(batches.is_empty(), "{batches:?}");
    assert!(left_out.end().is_some(), "nothing was read of it");
}
