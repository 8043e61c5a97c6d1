use std::collections::BTreeMap;

use duramen_model::Labels;
use futures::TryStreamExt;
use proptest::prelude::*;

use super::*;
use crate::presence::Trace;

/// The series of one part, by their number, with the time of a sample.
type Part = BTreeMap<u8, i64>;

/// Numbers in ascending order are series in the order of a block.
fn labels(number: u8) -> Labels {
    Labels::from_pairs([("__name__", format!("m{number:03}").as_str())]).unwrap()
}

/// Returns the part in batches of `size` series, and an empty batch in front.
fn batches(part: &Part, size: usize) -> PresenceStream {
    let all: Vec<_> = part.iter().collect();

    let some = all.chunks(size).map(|series| {
        let mut batch = PresenceBatchBuilder::default();
        for (number, ts_ms) in series {
            batch.push(&[Trace::sample(**ts_ms)]);
            batch.end_series(labels(**number).encoded());
        }

        Ok(batch.finish())
    });

    let empty = Ok(PresenceBatchBuilder::default().finish());
    let batches: Vec<_> = std::iter::once(empty).chain(some).collect();
    Box::pin(stream::iter(batches))
}

/// What is merged: the labels and the traces of each series.
fn merged_series(parts: &[Part], size: usize) -> Vec<(Labels, Vec<Trace>)> {
    let streams = parts.iter().map(|part| batches(part, size)).collect();
    let batches = merged(streams, 3).try_collect::<Vec<_>>();
    let batches = futures::executor::block_on(batches).unwrap();

    let series = |batch: &PresenceBatch, row: usize| {
        let labels = Labels::from_encoded(batch.labels_at(row)).unwrap();
        (labels, batch.traces_at(row).to_vec())
    };

    let rows = batches
        .iter()
        .flat_map(|batch| (0..batch.len()).map(move |row| series(batch, row)));
    rows.collect()
}

fn wanted(parts: &[Part]) -> Vec<(Labels, Vec<Trace>)> {
    let mut all: BTreeMap<u8, Vec<Trace>> = BTreeMap::new();
    for (number, ts_ms) in parts.iter().flatten() {
        all.entry(*number).or_default().push(Trace::sample(*ts_ms));
    }

    let series = all.into_iter();
    series
        .map(|(number, traces)| (labels(number), traces))
        .collect()
}

proptest! {
    #[test]
    fn each_series_comes_once_in_order_with_the_traces_of_all_parts(
        parts in prop::collection::vec(prop::collection::btree_map(0u8..20, 0..100i64, 0..12), 2..4),
        size in 1usize..5,
    ) {
        prop_assert_eq!(merged_series(&parts, size), wanted(&parts));
    }

    #[test]
    fn siblings_come_one_after_the_other(
        counts in prop::collection::vec(1u8..9, 2..5),
        size in 1usize..5,
    ) {
        let mut next = 0;
        let parts: Vec<Part> = counts
            .into_iter()
            .map(|count| {
                let numbers = next..next + count;
                next += count;
                numbers.map(|number| (number, i64::from(number))).collect()
            })
            .collect();

        prop_assert_eq!(merged_series(&parts, size), wanted(&parts));
    }
}
