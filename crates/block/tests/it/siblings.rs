//! A large output in several sibling blocks.

use duramen_block::{
    BlockLimits, BlockSetWriter, BlockWriter, Error, SeriesContents, Sibling, WriterOptions,
};
use duramen_model::{FamilyMetadata, Labels, MetricType};

/// Series `series` of metric `name`.
fn labels(name: &str, series: usize) -> Labels {
    let series = format!("{series:05}");
    Labels::from_pairs([("__name__", name), ("series", &series)]).unwrap()
}

fn family(name: &str) -> FamilyMetadata {
    FamilyMetadata {
        family: name.to_owned(),
        kind: MetricType::Gauge,
        help: String::new(),
        unit: String::new(),
        last_seen_ms: 7,
    }
}

/// Limits that only `series_max` reaches.
fn series_max(series_max: usize) -> BlockLimits {
    BlockLimits {
        series_max,
        ..BlockLimits::default()
    }
}

fn in_memory() -> Result<((), BlockWriter), Error> {
    Ok(((), BlockWriter::in_memory(WriterOptions::default())))
}

/// Writes so many series of each metric, with one sample each. Returns the number of series in each
/// sibling.
fn cut(limits: BlockLimits, metrics: &[(&str, usize)]) -> Vec<u64> {
    let mut set = BlockSetWriter::new(limits, in_memory);

    for (name, count) in metrics {
        for series in 0..*count {
            set.push(&labels(name, series), &SeriesContents::floats(&[1], &[0.5]))
                .unwrap();
        }
    }

    let expected: usize = metrics.iter().map(|(_, count)| count).sum();
    assert_eq!(set.series(), expected as u64);

    counts(&set.finish().unwrap())
}

fn counts<P>(siblings: &[Sibling<P>]) -> Vec<u64> {
    siblings.iter().map(|block| block.stats.series).collect()
}

#[test]
fn a_full_block_ends_where_its_metric_ends() {
    assert_eq!(cut(series_max(4), &[("a", 3), ("b", 3), ("c", 1)]), [6, 1]);
    assert_eq!(cut(series_max(4), &[("a", 4), ("b", 4)]), [4, 4]);
    assert_eq!(cut(series_max(4), &[("a", 2), ("b", 1)]), [3]);
}

#[test]
fn a_metric_that_runs_on_is_cut_at_twice_the_limit() {
    assert_eq!(cut(series_max(4), &[("a", 19), ("b", 2)]), [8, 8, 5]);
    assert_eq!(cut(series_max(4), &[("a", 3), ("b", 9)]), [8, 4]);
}

#[test]
fn the_bytes_of_rows_and_of_labels_are_limited_too() {
    let rows = BlockLimits {
        rows_bytes_max: 200_000,
        ..BlockLimits::default()
    };
    let mut set = BlockSetWriter::new(rows, in_memory);
    let ts: Vec<i64> = (0..100_000).collect();
    let values: Vec<f64> = ts.iter().map(|ts| (*ts as f64).sqrt()).collect();

    for name in ["a", "b", "c"] {
        set.push(&labels(name, 0), &SeriesContents::floats(&ts, &values))
            .unwrap();
    }

    assert_eq!(counts(&set.finish().unwrap()), [1, 1, 1]);

    let bytes = BlockLimits {
        labels_bytes_max: 2 * labels("a", 0).encoded().len(),
        ..BlockLimits::default()
    };
    assert_eq!(
        cut(bytes, &[("a", 1), ("b", 1), ("c", 3), ("d", 1)]),
        [2, 3, 1]
    );
}

#[test]
fn the_rules_of_a_block_hold_over_all_siblings() {
    let mut set = BlockSetWriter::new(series_max(1), in_memory);
    let one = SeriesContents::floats(&[1], &[0.5]);

    set.push(&labels("b", 0), &one).unwrap();
    let behind = set.push(&labels("a", 0), &one).unwrap_err();
    let again = set.push(&labels("b", 0), &one).unwrap_err();

    for error in [behind, again] {
        assert!(matches!(error, Error::Contract { .. }), "{error}");
    }

    set.push(&labels("c", 0), &one).unwrap();
    assert_eq!(counts(&set.finish().unwrap()), [1, 1]);
}

#[test]
fn metadata_goes_into_the_last_sibling_or_into_a_block_of_its_own() {
    let mut set = BlockSetWriter::new(series_max(1), in_memory);
    set.set_metadata(vec![family("f")]);

    for name in ["a", "b"] {
        set.push(&labels(name, 0), &SeriesContents::floats(&[1], &[0.5]))
            .unwrap();
    }

    let siblings = set.finish().unwrap();
    let families: Vec<_> = siblings.iter().map(|block| block.stats.families).collect();
    assert_eq!(families, [0, 1]);

    let mut alone = BlockSetWriter::new(series_max(1), in_memory);
    alone.set_metadata(vec![family("f"), family("g")]);

    let alone = alone.finish().unwrap();
    assert_eq!(alone.len(), 1);
    assert_eq!((alone[0].stats.series, alone[0].stats.families), (0, 2));

    let nothing = BlockSetWriter::new(series_max(1), in_memory);
    assert!(nothing.finish().unwrap().is_empty());
}

/// Returns the metric names at both ends of each sibling.
fn names<P>(siblings: &[Sibling<P>]) -> Vec<(&str, &str)> {
    let bounds = siblings
        .iter()
        .map(|block| block.stats.names.as_ref().unwrap());
    bounds
        .map(|names| (names.first.as_str(), names.last.as_str()))
        .collect()
}

#[test]
fn a_series_without_a_name_counts_as_the_empty_name_and_no_series_have_no_bounds() {
    let mut set = BlockSetWriter::new(BlockLimits::default(), in_memory);
    let nameless = Labels::from_pairs([("a", "b")]).unwrap();
    let one = SeriesContents::floats(&[1], &[0.5]);

    set.push(&nameless, &one).unwrap();
    set.push(&labels("m", 0), &one).unwrap();
    assert_eq!(names(&set.finish().unwrap()), [("", "m")]);

    let mut alone = BlockSetWriter::new(BlockLimits::default(), in_memory);
    alone.set_metadata(vec![family("f")]);
    assert_eq!(alone.finish().unwrap()[0].stats.names, None);
}

#[test]
fn a_place_goes_with_its_block() {
    let mut next = 0;
    let create = || {
        next += 1;
        Ok((next, BlockWriter::in_memory(WriterOptions::default())))
    };
    let mut set = BlockSetWriter::new(series_max(2), create);

    for name in ["a", "b", "c", "d", "e"] {
        set.push(&labels(name, 0), &SeriesContents::floats(&[1], &[0.5]))
            .unwrap();
    }

    let siblings = set.finish().unwrap();
    let places: Vec<_> = siblings.iter().map(|block| block.place).collect();

    assert_eq!(places, [1, 2, 3]);
    assert_eq!(counts(&siblings), [2, 2, 1]);
    assert_eq!(names(&siblings), [("a", "b"), ("c", "d"), ("e", "e")]);
    assert!(siblings.iter().all(|block| !block.files.is_empty()));
}
