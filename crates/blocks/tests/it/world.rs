//! A store that is seldom well, on a clock that moves only when everybody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use duramen_block::{BlockWriter, META_FILE, SeriesContents, WriterOptions};
use duramen_bucket::keys;
use duramen_model::{BlockEntry, BlockId, Content, Labels, Order, TenantId, WriterId};
use duramen_runtime::{Clock, Disk, Entropy, RealDisk};
use duramen_testkit::store::OnGet;
use futures::{StreamExt, stream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetResult, GetResultPayload, ObjectStore, ObjectStoreExt, Result,
};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;
use ulid::Ulid;

/// The paused clock of the runtime, as the code of the project sees it.
#[derive(Debug)]
pub(crate) struct PausedClock {
    began: Instant,
    entropy: Entropy,
}

impl PausedClock {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            entropy: Entropy::seeded(seed),
        })
    }
}

#[async_trait]
impl Clock for PausedClock {
    fn now_ms(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        pause(duration).await;
    }

    fn entropy(&self) -> &Entropy {
        &self.entropy
    }
}

pub(crate) async fn pause(duration: Duration) {
    #[expect(clippy::disallowed_methods, reason = "the clock of the test is paused")]
    tokio::time::sleep(duration).await;
}

/// Answers late, not at all, with errors, or with damaged bytes, as a seed says.
#[derive(Debug)]
pub(crate) struct Unruly {
    random: Mutex<StdRng>,
    calm: AtomicBool,
}

/// What happens to one GET.
enum Fate {
    Well,
    Fails,
    FlippedBit(usize),
    CutBody(usize),
}

impl Unruly {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            calm: AtomicBool::new(false),
        }
    }

    /// From now on all answers are right.
    pub(crate) fn calm_down(&self) {
        self.calm.store(true, Relaxed);
    }

    fn next(&self) -> (Duration, Fate) {
        let mut random = self.random.lock();
        let late = match random.random_range(0..100) {
            0 => Duration::from_secs(60),
            1..6 => Duration::from_secs(5),
            _ => Duration::from_millis(random.random_range(1..80)),
        };

        let fate = match random.random_range(0..100) {
            _ if self.calm.load(Relaxed) => Fate::Well,
            0..10 => Fate::Fails,
            10..18 => Fate::FlippedBit(random.random_range(0..1 << 20)),
            18..22 => Fate::CutBody(random.random_range(0..1 << 20)),
            _ => Fate::Well,
        };

        (late, fate)
    }
}

#[async_trait]
impl OnGet for Unruly {
    async fn get(
        &self,
        store: &dyn ObjectStore,
        key: &Path,
        options: GetOptions,
    ) -> Result<GetResult> {
        let (late, fate) = self.next();
        pause(late / 2).await;

        if matches!(fate, Fate::Fails) {
            return Err(Error::Generic {
                store: "unruly",
                source: "503".into(),
            });
        }

        let answer = store.get_opts(key, options).await?;
        let (meta, range) = (answer.meta.clone(), answer.range.clone());
        let mut body = answer.bytes().await?.to_vec();

        match fate {
            Fate::FlippedBit(at) if !body.is_empty() => {
                let at = at % body.len();
                body[at] ^= 1;
            }
            Fate::CutBody(at) if !body.is_empty() => body.truncate(at % body.len()),
            _ => {}
        }

        let body = stream::once(async move {
            pause(late / 2).await;
            Ok(Bytes::from(body))
        });

        Ok(GetResult {
            payload: GetResultPayload::Stream(body.boxed()),
            meta,
            range,
            attributes: Default::default(),
        })
    }
}

/// One series: its labels, and the times and values of all blocks.
pub(crate) type Series = (Labels, Vec<(i64, u64)>);

pub(crate) const BLOCKS: u64 = 3;
const SERIES: u64 = 24;
const SAMPLES: i64 = 40;

pub(crate) fn tenant() -> TenantId {
    TenantId(Ulid(1))
}

/// Returns what all blocks together hold.
pub(crate) fn contents() -> Vec<Series> {
    let series = |i: u64| {
        let name = format!("metric_{}", i / 8);
        let number = format!("{:02}", i % 8);
        let labels = [("__name__", name.as_str()), ("i", number.as_str())];
        let at = |t: i64| {
            let value = (t as f64 * (i + 1) as f64).sqrt();
            (t * 15_000, value.to_bits())
        };

        let all = 0..SAMPLES * BLOCKS.cast_signed();
        (Labels::from_pairs(labels).unwrap(), all.map(at).collect())
    };

    (0..SERIES).map(series).collect()
}

/// Writes the blocks, each with a part of the time, into a store in memory.
pub(crate) async fn stored() -> (Arc<InMemory>, Vec<BlockEntry>) {
    let store = Arc::new(InMemory::new());
    let mut entries = Vec::new();

    for block in 0..BLOCKS {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("block");
        let entry = written(block, &folder);

        for name in entry.stats.files.iter().map(|f| f.name.as_str()) {
            copy(&store, &entry, &folder, name).await;
        }

        copy(&store, &entry, &folder, META_FILE).await;
        entries.push(entry);
    }

    (store, entries)
}

async fn copy(store: &InMemory, entry: &BlockEntry, folder: &std::path::Path, name: &str) {
    let bytes = std::fs::read(folder.join(name)).unwrap();
    let key = keys::block_file(tenant(), entry, name);
    store.put(&key, bytes.into()).await.unwrap();
}

fn written(block: u64, folder: &std::path::Path) -> BlockEntry {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let options = WriterOptions {
        ts_page_rows: 64,
        integer_page_values: 32,
        float_page_values: 32,
        row_group_rows_max: 100,
        series_group_rows_max: 20,
        ..WriterOptions::default()
    };

    let mut writer = BlockWriter::create(&disk, folder, options).unwrap();
    let first = usize::try_from(block.cast_signed() * SAMPLES).unwrap();

    for (labels, samples) in contents() {
        let part = &samples[first..first + usize::try_from(SAMPLES).unwrap()];
        let (ts_ms, values): (Vec<i64>, Vec<f64>) = part
            .iter()
            .map(|(ts, bits)| (*ts, f64::from_bits(*bits)))
            .unzip();

        let contents = SeriesContents {
            ts_ms: &ts_ms,
            values: &values,
            lives: &[],
            histograms: &[],
            exemplars: &[],
            rollups: &[],
        };

        writer.push(&labels, &contents).unwrap();
    }

    let order = Order {
        opened: block,
        writer: WriterId(Ulid(1)),
        flush: block,
    };

    BlockEntry::of_flush(
        BlockId(Ulid(u128::from(block) + 1)),
        order,
        Content::default(),
        writer.finish().unwrap(),
    )
}
