//! Damage is found, whatever it hits, and named; it is never a wrong value and never a panic.

use std::sync::Arc;

use duramen_block::{Block, Error};
use duramen_model::{BlockStats, ErrorKind};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::fixture::{Series, collect, in_memory, key, names, open, request, sorted};
use crate::round_trip::small;

fn series() -> Vec<Series> {
    let one = |i: i64| {
        let number = i.to_string();
        let values =
            (0..40).map(move |t| (t * 15_000 + i, if i % 3 == 0 { (t as f64).sqrt() } else { t as f64 / 10.0 }));
        Series::new(&[("__name__", "m"), ("i", &number)], values)
    };
    sorted((0..60).map(one).collect())
}

/// What a query and a full check say of the block: series, and whether the check passed.
async fn read(store: &Arc<InMemory>, stats: &BlockStats) -> Result<(Vec<Series>, Result<(), Error>), ErrorKind> {
    let block: Arc<Block> = open(Arc::clone(store) as Arc<dyn ObjectStore>, stats).await.map_err(|e| e.kind())?;
    let found = collect(&block, &request(vec![])).await.map_err(|e| e.kind())?;
    Ok((found, block.verify().await))
}

/// Replaces a file by each of its damaged forms; each must be found.
async fn check(damage: impl Fn(&[u8]) -> Vec<Vec<u8>>) {
    let series = series();
    let (store, stats) = in_memory(&series, small()).await;
    let mut tried = 0;
    for name in names(&stats) {
        let at = key().join(name.as_str());
        let good = store.get(&at).await.unwrap().bytes().await.unwrap();
        for bad in damage(&good) {
            store.put(&at, bad.into()).await.unwrap();
            match read(&store, &stats).await {
                Err(kind) => assert_eq!(kind, ErrorKind::Corrupt, "{name}"),
                Ok((found, verified)) => {
                    assert!(found == series, "{name}: a wrong answer");
                    let error = verified.expect_err("damage that a query does not touch is found by the check");
                    assert!(matches!(error, Error::Checksum { .. } | Error::Size { .. }), "{error}");
                    assert!(error.to_string().contains(at.as_ref()), "{error}");
                }
            }
            tried += 1;
        }
        store.put(&at, good.into()).await.unwrap();
    }
    assert!(tried > 30, "{tried}");
    let (found, verified) = read(&store, &stats).await.unwrap();
    assert!(found == series && verified.is_ok());
}

#[tokio::test]
async fn a_flipped_bit_is_found_wherever_it_is() {
    check(|good| {
        let flip = |at: usize, bit: usize| {
            let mut bad = good.to_vec();
            bad[at] ^= 1 << bit;
            bad
        };
        (0..good.len()).step_by(97).chain([good.len() - 1]).map(|at| flip(at, at % 8)).collect()
    })
    .await;
}

#[tokio::test]
async fn a_file_that_was_cut_or_grew_is_found() {
    check(|good| {
        let cuts = (0..12).map(|i| good[..good.len() * i / 12].to_vec());
        cuts.chain([good[..good.len() - 1].to_vec(), [good, b"x"].concat()]).collect()
    })
    .await;
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let (store, stats) = in_memory(&series(), small()).await;
    store.delete(&key().join("samples.parquet")).await.unwrap();
    let block = open(store, &stats).await.unwrap();
    let error = collect(&block, &request(vec![])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("block=01J00000000000000000000BXK"), "{error}");
}
