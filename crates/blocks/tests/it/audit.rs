//! An audit of whole blocks, of damaged ones, and of entries that lie.

use duramen_blocks::{MergeInput, audit};
use duramen_model::{ErrorKind, NameBounds};
use object_store::ObjectStoreExt;

use crate::generate::Generator;
use crate::inputs::Store;

/// A block of random series with all kinds of content.
async fn block(store: &mut Store, seed: u64) -> MergeInput {
    let data = Generator::new(seed).data();
    store.add(&data, 1, seed).await
}

/// Changes what the entry of a block says.
type Lie = fn(&mut MergeInput);

/// Audits a block that has a fault. Returns its text with all causes.
async fn fault(block: &MergeInput) -> String {
    let error = audit(block).await.expect_err("the block has a fault");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");

    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);

    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }

    text
}

#[tokio::test]
async fn what_a_writer_makes_has_no_fault() {
    let mut store = Store::default();

    for seed in 0..60 {
        let block = block(&mut store, seed).await;
        let stats = &block.entry.stats;
        let read = audit(&block).await.unwrap();

        assert_eq!(read.samples, stats.samples, "{seed}");
        assert_eq!(read.histograms, stats.histograms, "{seed}");
        assert_eq!(read.exemplars, stats.exemplars, "{seed}");
        assert_eq!(read.series, stats.series, "{seed}");
        assert_eq!(read.bytes, stats.bytes(), "{seed}");
    }
}

#[tokio::test]
async fn a_flipped_bit_a_cut_and_a_file_that_is_gone_are_found_and_the_file_is_named() {
    let mut store = Store::default();
    let block = block(&mut store, 7).await;
    let names = block.entry.stats.files.iter().map(|file| &file.name);

    for name in names.map(String::as_str).chain(["meta"]) {
        let key = block.directory.clone().join(name);
        let good = store
            .objects
            .get(&key)
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();

        for at in [0, good.len() / 3, good.len() - 1] {
            let mut bad = good.to_vec();
            bad[at] ^= 16;
            store.objects.put(&key, bad.into()).await.unwrap();

            let text = fault(&block).await;
            assert!(text.contains(name), "{name} {at}: {text}");
        }

        let mut longer = good.to_vec();
        longer.push(0);

        for bad in [good[..good.len() - 1].to_vec(), longer, Vec::new()] {
            store.objects.put(&key, bad.into()).await.unwrap();

            let text = fault(&block).await;
            assert!(text.contains(name), "{name}: {text}");
        }

        store.objects.delete(&key).await.unwrap();
        let text = fault(&block).await;
        assert!(text.contains(name), "{name}: {text}");

        store.objects.put(&key, good.into()).await.unwrap();
        audit(&block).await.unwrap();
    }
}

#[tokio::test]
async fn an_entry_that_lies_is_found() {
    let mut store = Store::default();
    let mut seed = 0;

    let block = loop {
        let block = block(&mut store, seed).await;
        let stats = &block.entry.stats;
        if stats.histograms > 0 && stats.exemplars > 0 && stats.families > 0 {
            break block;
        }
        seed += 1;
    };

    let lies: [(&str, Lie); 8] = [
        ("series", |block| block.entry.stats.series += 1),
        ("samples", |block| block.entry.stats.samples -= 1),
        ("histograms", |block| block.entry.stats.histograms += 1),
        ("exemplars", |block| block.entry.stats.exemplars += 1),
        ("metadata.parquet", |block| block.entry.stats.families += 1),
        ("times", |block| block.entry.stats.min_ts_ms += 1),
        ("times", |block| block.entry.stats.max_ts_ms -= 1),
        ("bounds", |block| {
            block.entry.stats.names = Some(NameBounds::default());
        }),
    ];

    for (what, lie) in lies {
        let mut lying = block.clone();
        lie(&mut lying);

        let text = fault(&lying).await;
        assert!(text.contains(what), "{what}: {text}");
    }
}
