//! The tools of each form read what was exported.

use std::path::{Path, PathBuf};
use std::process::Command;

use duramen_model::{Life, METRIC_NAME, MetricType, ResetHint, STALE_NAN, Sample, TimeRange};
use duramen_source::MemorySource;
use duramen_transfer::LabelsAs;
use duramen_tsdb::TsdbBlock;

use crate::world::{NOW_MS, To, disk, exemplar, family, histogram, labels, written};

const SAMPLES: usize = 2000;
const STEP_MS: i64 = 15_123;

/// Returns a program that the environment names, or one beside it. Without it, prints that; a
/// failure if all tests must run.
fn program(variable: &str, beside: Option<&str>) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from);
    let program = named.and_then(|path| match beside {
        None => Some(path),
        Some(beside) => Some(path.parent()?.join(beside)),
    });
    let program = program.filter(|program| program.is_file());

    if program.is_none() {
        println!("skipped: {variable} names no program");
        assert!(
            std::env::var("DURAMEN_REQUIRE_ALL").as_deref() != Ok("1"),
            "{variable} names no program"
        );
    }

    program
}

fn source() -> MemorySource {
    let mut source = MemorySource::default();

    for (name, instance) in [("asked_total", "a"), ("asked_total", "b"), ("up", "a")] {
        let labels = labels(&[(METRIC_NAME, name), ("instance", instance)]);
        let at = |step: usize| NOW_MS + i64::try_from(step).unwrap() * STEP_MS;
        let samples = (0..SAMPLES).map(|step| Sample::new(at(step), 0.1 * (step % 7) as f64));

        source.push(labels.clone(), samples);
        source.push(labels.clone(), [Sample::new(at(SAMPLES), STALE_NAN)]);
        source.push_exemplar(labels, exemplar(NOW_MS + 1, 0.5));
    }

    let wide = labels(&[(METRIC_NAME, "wait"), ("time", "a,\"b\"")]);
    source.push_histogram(wide, NOW_MS, Life::NONE, &histogram(7, ResetHint::Unknown));
    source.push_metadata(family("asked", MetricType::Counter, "What was \"asked\""));
    source
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn promtool_makes_blocks_of_our_openmetrics() {
    let Some(tool) = program("DURAMEN_TEST_PROMETHEUS", Some("promtool")) else {
        return;
    };

    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("all.txt");
    let out = written(source(), To::OpenMetrics, &text);
    assert_eq!(
        (out.left_out.stale_markers, out.left_out.histograms),
        (3, 1)
    );

    // Only counters and buckets have exemplars.
    assert_eq!((out.exemplars, out.left_out.exemplars), (2, 1));

    let data = folder.path().join("data");
    let mut command = Command::new(tool);
    let command = command.args(["tsdb", "create-blocks-from", "openmetrics"]);
    run(command.arg(&text).arg(&data));

    let mut count = 0;
    for path in duramen_tsdb::find(&*disk(), &data).unwrap() {
        let mut block = TsdbBlock::open(&disk(), &path).unwrap();

        for (_, series) in block.series().unwrap() {
            let samples = block.samples(series, TimeRange::ALL).unwrap();
            count += samples.ts_ms.len();

            for ts_ms in samples.ts_ms {
                assert_eq!((ts_ms - NOW_MS) % STEP_MS, 0, "{ts_ms}");
            }
        }
    }

    assert_eq!(count, 3 * SAMPLES);
}

#[test]
fn promtool_reads_our_blocks() {
    let Some(tool) = program("DURAMEN_TEST_PROMETHEUS", Some("promtool")) else {
        return;
    };

    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let out = written(source(), To::Tsdb, &data);
    assert_eq!((out.floats, out.histograms), (3 * (SAMPLES as u64 + 1), 1));
    std::fs::create_dir(data.join("wal")).unwrap();

    let listed = run(Command::new(&tool).args(["tsdb", "list"]).arg(&data));
    assert_eq!(listed.lines().count() as u64, out.files + 1, "{listed}");

    let dumped = run(Command::new(&tool).args(["tsdb", "dump"]).arg(&data));
    assert!(dumped.lines().count() >= 3 * (SAMPLES + 1), "{dumped}");
}

/// Asks DuckDB. Returns what it answers, a row a line.
fn duckdb(query: &str, path: &Path) -> Option<String> {
    let python = program("DURAMEN_TEST_PYTHON", None)?;
    let script = "import duckdb, sys\n\
                  for row in duckdb.sql(sys.argv[1].replace('FILE', sys.argv[2])).fetchall():\n\
                  \tprint(*row, sep='|')\n";

    let mut command = Command::new(python);
    let file = format!("'{}'", path.display());
    Some(run(command.args(["-c", script, query, &file])))
}

#[test]
fn duckdb_reads_our_parquet_and_our_csv() {
    let folder = tempfile::tempdir().unwrap();
    let columns = "SELECT __name__, instance, count(*), count(value), min(epoch_ms(time)), \
                   round(sum(CASE WHEN isnan(value) THEN 0 ELSE value END), 3), max(\"label:time\"), \
                   max(histogram) LIKE '%\"schema\":2%' FROM FILE GROUP BY ALL ORDER BY ALL";
    let map = "SELECT labels['__name__'], labels['instance'], count(*), count(value), \
               min(epoch_ms(time)), round(sum(CASE WHEN isnan(value) THEN 0 ELSE value END), 3), \
               max(labels['time']), max(histogram) LIKE '%\"schema\":2%' \
               FROM FILE GROUP BY ALL ORDER BY ALL";

    let all = SAMPLES + 1;
    let sum = 599.5;
    let expected = format!(
        "asked_total|a|{all}|{all}|{NOW_MS}|{sum}|None|None\n\
         asked_total|b|{all}|{all}|{NOW_MS}|{sum}|None|None\n\
         up|a|{all}|{all}|{NOW_MS}|{sum}|None|None\n\
         wait|None|1|0|{NOW_MS}|None|a,\"b\"|True\n"
    );

    for (labels, query) in [(LabelsAs::Columns, columns), (LabelsAs::Map, map)] {
        let path = folder.path().join(format!("{labels:?}.parquet"));
        written(source(), To::Parquet(labels), &path);
        let Some(answer) = duckdb(query, &path) else {
            return;
        };

        assert_eq!(answer, expected, "{labels:?}");
    }

    let path = folder.path().join("all.csv");
    written(source(), To::Csv(LabelsAs::Columns), &path);
    let query = "SELECT __name__, instance, count(*), count(value), min(time), \
                 round(sum(CASE WHEN value = 'StaleNaN' THEN 0 ELSE value::DOUBLE END), 3), \
                 max(\"label:time\"), max(histogram) LIKE '%\"schema\":2%' \
                 FROM FILE GROUP BY ALL ORDER BY ALL";

    assert_eq!(duckdb(query, &path).as_deref(), Some(&*expected));
}
