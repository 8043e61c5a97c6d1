//! What was exported in a form and imported again is what it was.

use std::path::Path;

use duramen_model::{Histogram, METRIC_NAME, MetricType, TimeRange, is_stale};
use duramen_transfer::csv::{Mapped, Mapping};
use duramen_transfer::{LabelsAs, RunLimits};
use duramen_tsdb::TsdbBlock;
use proptest::prelude::*;

use crate::world::{
    Held, NOW_MS, SMALL, To, Value, World, csv, disk, exemplar, family, held, labels, openmetrics,
    source, worlds, written,
};

/// The NaN that the text `NaN` stands for.
const NORMAL_NAN: u64 = 0x7ff8_0000_0000_0001;

fn text(world: &World, to: To) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");

    written(source(world), to, &path);
    std::fs::read(path).unwrap()
}

/// What OpenMetrics has a place for.
fn in_openmetrics(world: &World) -> World {
    let mut all = World::new();

    for (pairs, samples) in world {
        let kept = samples.iter().filter_map(|(ts_ms, value)| match value {
            Value::Float(bits) if is_stale(f64::from_bits(*bits)) => None,
            Value::Float(bits) if f64::from_bits(*bits).is_nan() => {
                Some((*ts_ms, Value::Float(NORMAL_NAN)))
            }
            Value::Float(_) => Some((*ts_ms, value.clone())),
            Value::Histogram(_) => None,
        });

        let kept: std::collections::BTreeMap<_, _> = kept.collect();
        if !kept.is_empty() {
            all.insert(pairs.clone(), kept);
        }
    }

    all
}

/// Reads all blocks of a TSDB.
fn in_blocks(directory: &Path) -> World {
    let mut all = World::new();

    for path in duramen_tsdb::find(&*disk(), directory).unwrap() {
        let mut block = TsdbBlock::open(&disk(), &path).unwrap();
        let range = block.meta().range;
        assert_eq!(range.start_ms() % 7_200_000, 0);
        assert_eq!(range.end_ms() - range.start_ms(), 7_200_000);

        for (labels, series) in block.series().unwrap() {
            let samples = block.samples(series, TimeRange::ALL).unwrap();
            let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
            let held = all.entry(labels.iter().map(own).collect()).or_default();

            for (ts_ms, value) in samples.ts_ms.iter().zip(&samples.values) {
                held.insert(*ts_ms, Value::Float(value.to_bits()));
            }

            for (ts_ms, histogram) in &samples.histograms {
                held.insert(*ts_ms, Value::Histogram(unhinted(histogram.clone())));
            }
        }
    }

    all
}

/// A chunk tells resets for itself, not as they were hinted.
fn unhinted(mut histogram: Histogram) -> Vec<u8> {
    histogram.hint = duramen_model::ResetHint::Unknown;
    histogram.to_bytes()
}

fn all_unhinted(world: &World) -> World {
    let mut all = world.clone();

    for value in all.values_mut().flat_map(|samples| samples.values_mut()) {
        if let Value::Histogram(bytes) = value {
            *bytes = unhinted(Histogram::from_bytes(bytes).unwrap());
        }
    }

    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn csv_keeps_every_bit(world in worlds(), map in any::<bool>()) {
        let labels = if map { LabelsAs::Map } else { LabelsAs::Columns };
        let text = text(&world, To::Csv(labels));

        for limits in [RunLimits::default(), SMALL] {
            let runs = csv(&text, limits, Mapping::default()).unwrap();
            prop_assert_eq!(held(runs).world, world.clone());
        }
    }

    #[test]
    fn openmetrics_keeps_every_float(world in worlds()) {
        let text = text(&world, To::OpenMetrics);

        for limits in [RunLimits::default(), SMALL] {
            let runs = openmetrics(&text, limits).unwrap();
            prop_assert_eq!(held(runs).world, in_openmetrics(&world));
        }
    }

    #[test]
    fn blocks_of_a_tsdb_keep_every_bit(world in worlds()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        written(source(&world), To::Tsdb, &path);

        prop_assert_eq!(in_blocks(&path), all_unhinted(&world));
    }
}

#[test]
fn exemplars_and_metadata_come_back_from_openmetrics() {
    let mut source = duramen_source::MemorySource::default();
    let series = labels(&[(METRIC_NAME, "asked_total"), ("job", "a")]);
    let samples = (0..5).map(|n| duramen_model::Sample::new(NOW_MS + n * 1000, 1.5));

    source.push(series.clone(), samples);
    source.push_metadata(family(
        "asked",
        MetricType::Counter,
        "What\\ \"was\"\nasked",
    ));

    let exemplars = [
        exemplar(NOW_MS - 10, -0.0),
        exemplar(NOW_MS + 1500, 2.0),
        exemplar(NOW_MS + 1501, f64::INFINITY),
    ];

    for exemplar in &exemplars {
        source.push_exemplar(series.clone(), exemplar.clone());
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let out = written(source, To::OpenMetrics, &path);
    assert_eq!((out.exemplars, out.families, out.floats), (3, 1, 5));

    let text = std::fs::read(&path).unwrap();
    let Held {
        exemplars: read,
        families,
        ..
    } = held(openmetrics(&text, RunLimits::default()).unwrap());

    assert_eq!(read[&series.to_string()], exemplars);
    let expected = family("asked", MetricType::Counter, "What\\ \"was\"\nasked");
    assert_eq!(families["asked"], expected);
}

#[test]
fn more_exemplars_than_samples_are_left_out_and_counted() {
    let mut source = duramen_source::MemorySource::default();
    let series = labels(&[(METRIC_NAME, "asked_total")]);
    source.push(series.clone(), [duramen_model::Sample::new(NOW_MS, 1.0)]);

    for n in 0..3 {
        source.push_exemplar(series.clone(), exemplar(NOW_MS + n, 1.0));
    }

    let folder = tempfile::tempdir().unwrap();
    let out = written(source, To::OpenMetrics, &folder.path().join("out"));
    assert_eq!((out.exemplars, out.left_out.exemplars), (1, 2));
}

#[test]
fn any_csv_is_read_by_a_mapping() {
    let text = "when,host,cpu,mem,note\n\
                2026-11-30T14:00:00Z,\"a,b\",0.5,,x\n\
                2026-11-30T14:00:15Z,\"a,b\",0.75,7e9,y\n";

    let columns = [
        "time=when",
        "label:instance=host",
        "value:cpu_used=cpu",
        "value:memory=mem",
    ];
    let columns: Vec<Mapped> = columns.iter().map(|text| text.parse().unwrap()).collect();
    let mapping = Mapping {
        columns,
        time: "rfc3339".parse().unwrap(),
        metric: None,
    };

    let held = held(csv(text.as_bytes(), RunLimits::default(), mapping).unwrap());
    let shown: Vec<String> = held
        .world
        .iter()
        .map(|(pairs, samples)| format!("{pairs:?} {samples:?}"))
        .collect();

    let own = |pairs: [(&str, &str); 2]| {
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    };
    let at = 1_796_047_200_000;
    let cpu = own([("__name__", "cpu_used"), ("instance", "a,b")]);
    let memory = own([("__name__", "memory"), ("instance", "a,b")]);

    assert_eq!(shown.len(), 2, "{shown:?}");
    assert_eq!(
        held.world[&cpu].keys().copied().collect::<Vec<_>>(),
        [at, at + 15_000]
    );
    assert_eq!(
        held.world[&memory],
        [(at + 15_000, Value::Float(7e9_f64.to_bits()))].into()
    );
}

#[test]
fn the_first_of_two_samples_counts() {
    let text = "a 1 1\na 2 1\na 1 1\n# EOF\n";
    let held = held(openmetrics(text.as_bytes(), RunLimits::default()).unwrap());
    let samples = held.world.values().next().unwrap();

    assert_eq!(samples[&1000], Value::Float(1.0_f64.to_bits()));
    assert_eq!((held.report.samples, held.report.repeated), (1, 2));
}

#[test]
fn a_text_that_grows_has_the_same_runs_as_before_but_for_the_last() {
    let lines: Vec<String> = (0..100)
        .map(|n| format!("m{{n=\"{n}\"}} {n} {n}\n"))
        .collect();
    let text = |count: usize| lines[..count].concat() + "# EOF\n";

    let digests = |count: usize| -> Vec<u128> {
        let runs = openmetrics(text(count).as_bytes(), SMALL).unwrap();
        runs.iter().map(|run| run.digest).collect()
    };

    let (short, long) = (digests(70), digests(100));
    assert_eq!((short.len(), long.len()), (4, 6));
    assert_eq!(short[..3], long[..3]);
    assert_ne!(short[3], long[3]);

    // How a text is read tells runs apart, too.
    let table = b"time,value,x\n1,1,a\n";
    let read = |columns: [&str; 3]| {
        let columns = columns.iter().map(|text| text.parse().unwrap()).collect();
        let mapping = Mapping {
            columns,
            ..Mapping::default()
        };
        csv(table, SMALL, mapping).unwrap()[0].digest
    };

    assert_ne!(
        read(["time=time", "value:a=value", "label=x"]),
        read(["time=time", "value:b=value", "label=x"])
    );
}
