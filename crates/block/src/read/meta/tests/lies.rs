//! A hostile writer: each field of `meta` lies, and all checksums hold.

use std::sync::Arc;

use duramen_model::{BlockStats, Labels, NameBounds, TimeRange};
use duramen_source::{Columns, Reads, SeriesRequest, SeriesSource};
use futures::TryStreamExt;
use object_store::ObjectStore;

use super::blocks::{Written, dir, random};
use crate::layout::extent::Extents;
use crate::layout::meta::{Described, Meta, encode};
use crate::read::block::Block;
use crate::read::options::OpenOptions;
use crate::read::source::BlockSource;

/// Makes the checksums of the extents right, for files of the length that `meta` claims.
pub(super) fn sign(written: &Written, described: &mut Described) {
    let file = &mut described.file;
    let mut bytes = written.file(&file.name).to_vec();
    bytes.resize(usize::try_from(file.bytes).unwrap(), 0);

    file.extents = Extents::cut(&mut &bytes[..], file.bytes, &described.pages.boundaries())
        .unwrap_or_else(|_| file.extents.clone());
}

/// Returns `meta` with a lie in it, once for each field of each file.
fn lies(meta: &Meta) -> Vec<(String, Meta)> {
    let mut all = Vec::new();

    for index in 0..meta.files.len() {
        let name = &meta.files[index].file.name;
        let mut lie = |what: &str, change: &dyn Fn(&mut Described)| {
            let mut lying = meta.clone();
            change(&mut lying.files[index]);
            all.push((format!("{name}: {what}"), lying));
        };

        lie("a page shorter than a header", &|d| {
            d.pages.pages[0].bytes = 16;
        });
        lie("a dictionary shorter than a header", &|d| {
            d.pages.chunks[0].dictionary_bytes = 12;
        });
        lie("a longer name", &|d| d.file.name.push('x'));
        lie("a byte more", &|d| d.file.bytes += 1);
        lie("a byte less", &|d| d.file.bytes -= 1);
        lie("a column more", &|d| d.pages.columns += 1);
        lie("no rows", &|d| d.pages.group_rows[0] = 0);
        lie("a row more", &|d| d.pages.group_rows[0] += 1);
        lie("many rows", &|d| d.pages.group_rows[0] = u32::MAX);
        lie("no second row group", &|d| {
            d.pages.group_rows.truncate(1);
            d.pages.chunks.truncate(d.pages.columns);
            let pages = d.pages.chunks.last().unwrap().pages_end as usize;
            d.pages.pages.truncate(pages);
        });

        let chunks = meta.files[index].pages.chunks.len();
        for chunk in (0..chunks).step_by(chunks.div_ceil(8)) {
            lie("values", &|d| {
                d.pages.chunks[chunk].has_values ^= true;
            });
            lie("a longer dictionary", &|d| {
                d.pages.chunks[chunk].dictionary_bytes += 1;
            });
            lie("a long dictionary", &|d| {
                d.pages.chunks[chunk].dictionary_bytes = u32::MAX;
            });
            lie("no dictionary", &|d| {
                d.pages.chunks[chunk].dictionary_bytes = 0;
            });
        }

        let pages = meta.files[index].pages.pages.len();
        for page in (0..pages).step_by(pages.div_ceil(8)) {
            lie("a longer page", &|d| d.pages.pages[page].bytes += 1);
            lie("a shorter page", &|d| d.pages.pages[page].bytes -= 1);
            lie("a long page", &|d| {
                d.pages.pages[page].bytes = i32::MAX as u32
            });
            lie("more rows in a page", &|d| d.pages.pages[page].rows += 1);
        }

        if let Some(series) = &meta.files[index].series {
            lie("no promoted labels", &|d| {
                d.series.as_mut().unwrap().schema.promoted.clear();
            });
            lie("another promoted label", &|d| {
                let promoted = &mut d.series.as_mut().unwrap().schema.promoted;
                promoted.iter_mut().for_each(|name| name.push('x'));
            });
            lie("histograms", &|d| {
                d.series.as_mut().unwrap().schema.histograms ^= true;
            });
            lie("exemplars", &|d| {
                d.series.as_mut().unwrap().schema.exemplars ^= true;
            });

            for group in 0..series.names.len() {
                lie("names", &|d| {
                    d.series.as_mut().unwrap().names[group] = NameBounds {
                        first: "z".into(),
                        last: "a".into(),
                    };
                });
            }
        }
    }

    if !meta.fences.is_empty() {
        let mut fewer = meta.clone();
        fewer.fences.pop();
        all.push(("a fence less".to_owned(), fewer));

        let mut other = meta.clone();
        other.fences[0].labels = Labels::from_pairs([("__name__", "zzz")]);
        other.fences[0].first_sample = u64::MAX;
        all.push(("a fence".to_owned(), other));
    }

    all
}

/// Opens the block and reads everything. Returns what was found, or the error.
pub(super) async fn read(
    store: Arc<dyn ObjectStore>,
    stats: &BlockStats,
) -> Result<String, String> {
    let options = OpenOptions::default();
    let reads = Reads::default();
    let block = Block::open(store, dir(), stats, options, &reads)
        .await
        .map_err(|e| e.to_string())?;

    let request = SeriesRequest {
        matchers: Arc::from([]),
        range: TimeRange::ALL,
        columns: Columns::Everything,
        batch_series_max: SeriesRequest::BATCH_SERIES,
        reads: Arc::default(),
    };

    let failed = |e: duramen_source::Error| format!("{e}: {}", e.source);
    let source = BlockSource::new(block);
    let batches: Vec<_> = source
        .select(&request)
        .await
        .map_err(failed)?
        .try_collect()
        .await
        .map_err(failed)?;

    let exemplars = source.exemplars(&request).await.map_err(failed)?;
    let families = source.metadata().await.map_err(failed)?;

    Ok(format!("{batches:?} {exemplars:?} {families:?}"))
}

#[tokio::test]
async fn no_lie_makes_a_panic_and_errors_name_the_block() {
    let mut refused = 0;
    let mut answered = 0;

    for seed in 0..2 {
        let written = random(seed);
        let meta = written.meta();
        let (store, stats) = written.with_meta(encode::encode(&meta).unwrap()).await;
        let truth = read(store, &stats).await.unwrap();

        for (what, mut lying) in lies(&meta) {
            for described in &mut lying.files {
                if written
                    .files
                    .iter()
                    .any(|file| file.0 == described.file.name)
                    && described.file.bytes < 1 << 30
                {
                    sign(&written, described);
                }
            }

            let (store, stats) = written.with_meta(encode::encode(&lying).unwrap()).await;

            match read(store, &stats).await {
                Ok(_) if what.contains("shorter than a header") => panic!("{what}"),
                Ok(found) => answered += u32::from(found == truth),
                Err(e) => {
                    refused += 1;
                    let short = what.contains("shorter than a header");
                    assert!(
                        !short || e.contains("shorter than its header"),
                        "{what}: {e}"
                    );
                    assert!(e.contains("01J00000000000000000000BXK"), "{what}: {e}");
                }
            }
        }
    }

    println!("{refused} refused, {answered} answered as without the lie");
    assert!(refused > 100, "{refused}");
}
