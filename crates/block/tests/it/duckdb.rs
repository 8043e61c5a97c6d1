//! The files are plain Parquet: other engines can read them unchanged.

use std::path::Path;
use std::process::Command;

use duramen_block::{BlockWriter, SeriesContents, WriterOptions};
use duramen_model::{Exemplar, Labels, STALE_NAN};
use duramen_source::rollup::row::roll_floats;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::fixture::{Series, disk, sorted, write, write_with};
use crate::golden::{everything, families};
use crate::round_trip::small;

/// The Python that has the modules.
fn interpreter() -> String {
    std::env::var("DURAMEN_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// Whether this Python can import `module`. A skip is printed. It is a failure if all must run.
fn has(module: &str) -> bool {
    let found = Command::new(interpreter())
        .args(["-c", &format!("import {module}")])
        .output();
    let found = found.is_ok_and(|output| output.status.success());

    if !found {
        println!("skipped: python3 cannot import {module}");
        assert!(
            std::env::var("DURAMEN_REQUIRE_ALL").as_deref() != Ok("1"),
            "python3 cannot import {module}"
        );
    }

    found
}

fn python(script: &str, dir: &Path) -> String {
    let output = Command::new(interpreter())
        .args(["-c", script])
        .arg(dir)
        .output()
        .unwrap();

    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Writes 200 series of 60 samples with whole numbers, decimals, floats and a map entry. Returns
/// the sum of their values.
fn block(dir: &Path, options: WriterOptions) -> f64 {
    let one = |i: i64| {
        let number = i.to_string();
        let values = (0..60).map(move |t| {
            (
                t * 1000,
                if i % 2 == 0 {
                    t as f64 / 10.0
                } else {
                    (t as f64).sqrt()
                },
            )
        });

        Series::new(
            &[
                ("__name__", "m"),
                ("i", &number),
                ("Case", "x"),
                ("case", "y"),
            ],
            values,
        )
    };

    let series = sorted((0..200).map(one).collect());
    write(dir, &series, options);
    series
        .iter()
        .flat_map(|s| s.samples.iter().map(|(_, bits)| f64::from_bits(*bits)))
        .sum()
}

fn check(module: &str, script: &str) {
    if !has(module) {
        return;
    }

    for options in [small(), WriterOptions::default()] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("b");
        let sum = block(&dir, options);
        let answer = python(script, &dir);
        let parts: Vec<&str> = answer.split_whitespace().collect();

        assert_eq!(parts[..4], ["12000", "200", "60", "x"], "{answer}");
        assert!(
            (parts[4].parse::<f64>().unwrap() - sum).abs() < 1e-6,
            "{answer} {sum}"
        );
    }
}

#[test]
fn duckdb_joins_samples_with_series() {
    check(
        "duckdb",
        "import duckdb, sys
d = sys.argv[1]
v = 'coalesce(value, value_int / pow(10, exponent))'
q = f\"\"\"select count(*), count(distinct sref), count(distinct ts), min(\"label_Case\"), sum({v})
from '{d}/samples.parquet' join '{d}/series.parquet' using (sref)
where __name__ = 'm' and labels['case'] = 'y' and start_ts is null\"\"\"
print(*duckdb.sql(q).fetchall()[0])",
    );
}

#[test]
fn pyarrow_reads_all_columns() {
    check(
        "pyarrow",
        "import pyarrow.parquet as pq, pyarrow.compute as pc, sys
d = sys.argv[1]
t = pq.read_table(d + '/samples.parquet')
s = pq.read_table(d + '/series.parquet')
assert str(t.schema.field('ts').type) == 'timestamp[ms, tz=UTC]', t.schema
assert s.num_rows == 200 and s['labels'][0].as_py() == [('case', 'y')], s['labels'][0]
v = pc.coalesce(t['value'], pc.divide(t['value_int'].cast('double'), pc.power(10.0, t['exponent'].cast('double'))))
print(t.num_rows, len(t['sref'].unique()), len(t['ts'].unique()), s['label_Case'][0].as_py(), pc.sum(v).as_py())",
    );
}

#[test]
fn polars_reads_all_columns() {
    check(
        "polars",
        "import polars as pl, sys
d = sys.argv[1]
t = pl.read_parquet(d + '/samples.parquet')
s = pl.read_parquet(d + '/series.parquet')
v = pl.coalesce(pl.col('value'), pl.col('value_int') / 10.0 ** pl.col('exponent').cast(pl.Float64))
print(t.height, t['sref'].n_unique(), t['ts'].n_unique(), s['label_Case'][0], t.select(v.sum()).item())",
    );
}

/// Runs `script` on the golden block with everything. The script prints facts on histograms (how
/// many, sum of counts, sum of life spans), exemplars with a trace (how many), and metric families
/// (how many, first type).
fn check_everything(module: &str, script: &str) {
    if !has(module) {
        return;
    }

    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("b");
    write_with(&dir, &everything(), families(), small());

    assert_eq!(python(script, &dir), "122 64267.5 90000 39 2 histogram");
}

#[test]
fn duckdb_reads_histograms_exemplars_and_metadata() {
    check_everything(
        "duckdb",
        "import duckdb, sys
d = sys.argv[1]
one = lambda q: duckdb.sql(q).fetchall()[0]
h = one(f\"\"\"select count(*), sum(coalesce(count, count_int)), sum(ttl)::bigint
from '{d}/histograms.parquet' join '{d}/series.parquet' using (sref) where __name__ like 'request_seconds%'\"\"\")
e = one(f\"\"\"select count(*) from '{d}/exemplars.parquet' e join '{d}/series.parquet' using (sref)
where __name__ like 'request_seconds%' and e.labels['trace_id'] is not null\"\"\")
m = one(f\"select count(*), min_by(type, family) from '{d}/metadata.parquet'\")
assert one(f\"select sum(ttl), count(start_ts) from '{d}/samples.parquet'\") == (240000, 5)
print(*h, *e, *m)",
    );
}

const README: &str = include_str!("../../../../README.md");
/// The folder of the store in the README.
const STORE: &str = "duramen-data/store";

/// A statement of the page, and what the page says that it returns.
struct Statement {
    query: &'static str,
    result: Option<&'static str>,
}

/// The page's statements by their titles, in its order.
fn statements() -> Vec<(&'static str, Statement)> {
    let page = include_str!("../../../../docs/formats/block.md");

    let one = |rest: &'static str| {
        let (query, rest) = rest.split_once("```").unwrap();
        let (title, query) = query.split_once('\n').unwrap();
        let result = rest.strip_prefix("\n\n```text\n");
        let result = result.map(|result| result.split_once("\n```").unwrap().0);

        (title, Statement { query, result })
    };

    page.split("```sql\n-- ").skip(1).map(one).collect()
}

/// Writes the two blocks on which the page's statements run. A label that has a column in the first
/// one is an entry of `labels` in the second.
fn blocks_of_the_page(dir: &Path) {
    let start = 1_700_000_000_000;
    let up = |instance, samples: &[(i64, f64)]| {
        let labels = [("__name__", "up"), ("instance", instance), ("job", "node")];
        Series::new(&labels, samples.iter().copied())
    };

    let mut first = everything();
    let ends = [
        (start, 1.0),
        (start + 15_000, 0.0),
        (start + 30_000, STALE_NAN),
    ];
    first.push(up("a:9100", &ends));
    write_with(
        &dir.join("block=01HF7YAT00M6W4X0Z6Q3J5V8R2"),
        &sorted(first),
        families(),
        small(),
    );

    let one = |number: i32| {
        let number = number.to_string();
        Series::new(&[("__name__", "m"), ("i", &number)], [(start, 1.0)])
    };
    let mut second: Vec<Series> = (0..150).map(one).collect();
    let later = start + 2 * 60 * 60 * 1000;
    second.push(up("b:9100", &[(later, 1.0), (later + 15_000, 1.0)]));

    let labels = [("__name__", "request_seconds_bucket"), ("job", "api")];
    let mut slow = Series::new(&labels, []);
    slow.exemplars = vec![Exemplar {
        labels: Labels::from_pairs([("trace_id", "4bf92f3577b34da6")]).unwrap(),
        ts_ms: later,
        value: 7.5,
    }];
    second.push(slow);
    write_with(
        &dir.join("block=01HF7YAT01M6W4X0Z6Q3J5V8R2"),
        &sorted(second),
        vec![],
        WriterOptions::flush(),
    );
}

/// Writes a block of rollups beside them.
fn rollups_of_the_page(dir: &Path) {
    let start = 1_700_000_000_000;
    let samples = [
        (start + 5_000, 10.0),
        (start + 20_000, 40.0),
        (start + 35_000, 5.0),
        (start + 50_000, 20.0),
        (start + 290_000, 30.0),
        (start + 305_000, 45.0),
    ];
    let (ts, values): (Vec<i64>, Vec<f64>) = samples.into_iter().unzip();

    let mut rows = Vec::new();
    roll_floats(&ts, &values, 300_000, &mut rows);

    let labels = [("__name__", "requests_total"), ("instance", "a:9100")];
    let labels = Labels::from_pairs(labels).unwrap();
    let dir = dir.join("block=01HF7YAT02M6W4X0Z6Q3J5V8R2");
    let mut writer = BlockWriter::create(&disk(), &dir, WriterOptions::default()).unwrap();
    writer
        .push(&labels, &SeriesContents::rollups(&rows))
        .unwrap();
    writer.finish().unwrap();
}

/// What the page's statements return whose results it does not show: the number of rows, and the
/// last three.
const OTHERS: &str = "\
values: 5 rows
a:9100 | 2023-11-14 22:13:50+00 | null
b:9100 | 2023-11-15 00:13:20+00 | 1.0
b:9100 | 2023-11-15 00:13:35+00 | 1.0
what an observation was on average, by native histograms of either family: 119 rows
api | 2023-11-14 22:42:35+00 | 0.1388888888888889
api | 2023-11-14 22:42:50+00 | 0.1388888888888889
api | 2023-11-14 22:43:05+00 | 0.1388888888888889
buckets of the positive side of integer histograms, schemas -4 to 8: upper bounds and absolute counts: 357 rows
01HF7YAT00M6W4X0Z6Q3J5V8R2 | 3 | 2023-11-14 22:43:05+00 | 0.8408964152537145 | 119
01HF7YAT00M6W4X0Z6Q3J5V8R2 | 3 | 2023-11-14 22:43:05+00 | 1.189207115002721 | 119
01HF7YAT00M6W4X0Z6Q3J5V8R2 | 3 | 2023-11-14 22:43:05+00 | 1.2968395546510096 | 238
traces of slow requests: 2 rows
2023-11-15 00:13:20+00 | 7.5 | 4bf92f3577b34da6
2023-11-15 00:18:20+00 | inf | null
metadata of metric families; of several rows for one, the last one seen counts: 2 rows
request_seconds | histogram | seconds | How long requests take. | 2023-11-14 22:13:20+00
temperature_celsius | gauge | celsius |  | 2023-11-14 22:13:20+00";

/// Runs each statement of `docs/formats/block.md` as it stands there. What the page shows as a
/// result must be the result, whole. The others must return [`OTHERS`]. Runs the statement of the
/// README too.
#[test]
fn duckdb_runs_each_statement_of_the_page() {
    if !has("duckdb") {
        return;
    }

    let dir = tempfile::tempdir().unwrap();
    let blocks = dir
        .path()
        .join(STORE)
        .join("t/01HF7YAT00000000000000TENA/blocks");
    std::fs::create_dir_all(&blocks).unwrap();
    blocks_of_the_page(&blocks);
    rollups_of_the_page(&blocks);

    let run = |folder: &Path, query: &str| {
        let script = format!(
            "import duckdb, os, sys
os.chdir(sys.argv[1])
duckdb.sql(\"set timezone = 'UTC'\")
answer = duckdb.sql(\"\"\"select columns(*)::varchar from (
{query}) order by all\"\"\")
for row in [answer.columns, *answer.fetchall()]:
    print(*['null' if value is None else value for value in row], sep=' | ')"
        );
        python(&script, folder)
    };

    let mut shown = 0;
    let mut others = Vec::new();

    for (title, statement) in statements() {
        let answer = run(&blocks, statement.query);

        if let Some(result) = statement.result {
            assert_eq!(answer, result, "{title}");
            shown += 1;
        } else {
            let rows: Vec<&str> = answer.lines().skip(1).collect();
            let last = rows[rows.len().saturating_sub(3)..].join("\n");
            others.push(format!("{title}: {} rows\n{last}", rows.len()));
        }
    }

    assert_eq!(shown, 3);
    assert_eq!(others.join("\n"), OTHERS);

    let (_, rest) = README.split_once("```sql\n").unwrap();
    let (query, _) = rest.split_once(";\n```").unwrap();
    let answer = run(dir.path(), query);
    assert_eq!(answer.lines().count(), 1 + 5);
    assert_eq!(
        answer.lines().last(),
        Some("up | 2023-11-15 00:13:35+00 | 1.0")
    );
}

#[test]
fn pyarrow_reads_histograms_exemplars_and_metadata() {
    check_everything(
        "pyarrow",
        "import pyarrow.parquet as pq, pyarrow.compute as pc, sys
d = sys.argv[1]
h, e, m = (pq.read_table(f'{d}/{name}.parquet') for name in ['histograms', 'exemplars', 'metadata'])
n = pc.coalesce(h['count'], h['count_int'].cast('double'))
last = h['positive_spans'][118].as_py(), h['positive_deltas'][118].as_py(), h['hint'][118].as_py()
assert last == ([{'offset': -2, 'length': 1}, {'offset': 3, 'length': 2}], [119, 0, 119], 'not_reset'), last
traces = sum('trace_id' in dict(labels) for labels in e['labels'].to_pylist())
print(h.num_rows, pc.sum(n), pc.sum(h['ttl']), traces, m.num_rows, m['type'][0])",
    );
}

#[test]
fn polars_reads_histograms_exemplars_and_metadata() {
    check_everything(
        "polars",
        "import polars as pl, sys
d = sys.argv[1]
h, e, m = (pl.read_parquet(f'{d}/{name}.parquet') for name in ['histograms', 'exemplars', 'metadata'])
n = pl.coalesce(pl.col('count'), pl.col('count_int').cast(pl.Float64))
assert h['custom_values'].to_list()[-1] == [0.1, 1.0], h
traces = sum('trace_id' in str(labels) for labels in e['labels'].to_list())
print(h.height, h.select(n.sum()).item(), h['ttl'].sum(), traces, m.height, m['type'][0])",
    );
}

/// Makes series that no sender has, and some that all have. The times of one reach as far as
/// `time_max`.
fn hostile(time_max: i64) -> Vec<Series> {
    let mut random = StdRng::seed_from_u64(9);
    let mut all: Vec<(i64, Vec<f64>)> = Vec::new();

    for exponent in 0..=22 {
        let power = 10f64.powi(exponent);
        let values = (0..150).map(|_| (random.random::<i64>() >> 20) as f64 / power);
        all.push((0, values.collect()));
    }

    let two_53 = 9_007_199_254_740_992.0;
    let edges = [
        -0.0,
        0.0,
        STALE_NAN,
        f64::NAN,
        f64::from_bits(0x7ff0_0000_0000_0001),
        f64::from_bits(0xffff_ffff_ffff_ffff),
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        5e-324,
        two_53 - 1.0,
        two_53,
        two_53 + 2.0,
        -two_53,
        0.1,
        123_456.123_456_789,
    ];

    all.push((0, edges.to_vec()));
    all.extend(edges.map(|edge| (time_max - 1, vec![edge])));

    let mixed = (0..9000).map(|i| match i % 700 {
        600.. => STALE_NAN,
        500.. => edges[random.random_range(0..edges.len())],
        _ => f64::from(i * (i % 3)),
    });
    all.push((-time_max, mixed.collect()));

    let any = (0..9000).map(|_| f64::from_bits(random.random()));
    all.push((0, any.collect()));

    let long = (0..1_000_000).map(|i| f64::from(i / 7 * (i % 5)));
    all.push((1_700_000_000_000, long.collect()));

    let series = |(number, (start, values)): (usize, (i64, Vec<f64>))| {
        let name = format!("m{number:03}");
        let samples = (start..).zip(values);
        Series::new(&[("__name__", &name)], samples)
    };

    all.into_iter().enumerate().map(series).collect()
}

/// Has `read`, Python that makes an Arrow table of `samples.parquet` of the folder `d`, read every
/// sample, and compares times and values bit by bit.
fn compare(module: &str, read: &str, time_max: i64) {
    if !has(module) || !has("pyarrow") {
        return;
    }

    let series = sorted(hostile(time_max));
    let days = WriterOptions::window(24 * 60 * 60 * 1000);

    for options in [WriterOptions::flush(), days] {
        let dir = tempfile::tempdir().unwrap();
        let block = dir.path().join("b");
        write(&block, &series, options);

        let mut expected = Vec::new();
        for (sref, series) in (0u32..).zip(&series) {
            for (ts, bits) in &series.samples {
                expected.extend(sref.to_le_bytes());
                expected.extend(ts.to_le_bytes());
                expected.extend(bits.to_le_bytes());
            }
        }
        std::fs::write(block.join("expected"), expected).unwrap();

        let script = format!(
            "import sys, struct, pyarrow as pa
d = sys.argv[1]
{read}
powers = [float(f'1e{{e}}') for e in range(23)]
word = struct.Struct('<d'), struct.Struct('<Q')
def column(name, *types):
    a = t[name].combine_chunks()
    for type in types:
        a = a.cast(type) if isinstance(type, pa.DataType) else a.view(type)
    return a.to_pylist()
rows = zip(column('sref'), column('ts', pa.timestamp('ms', tz='UTC'), 'int64'), column('value_int'),
    column('exponent'), column('value', 'uint64'))
n = stale = 0
for (sref, ts, integer, exponent, value), expected in zip(rows, struct.iter_unpack('<IqQ', open(d + '/expected', 'rb').read()), strict=True):
    assert integer is None or value is None
    if integer is not None:
        value = word[1].unpack(word[0].pack(integer / powers[exponent]))[0]
    elif value is None:
        assert exponent == 0
        value = 0x7ff0000000000002
        stale += 1
    assert (sref, ts, value) == expected, (n, sref, ts, hex(value), expected)
    n += 1
assert stale > 1000
print(n)"
        );

        let samples: usize = series.iter().map(|series| series.samples.len()).sum();
        assert_eq!(python(&script, &block), samples.to_string());
    }
}

#[test]
fn pyarrow_agrees_bit_by_bit() {
    let read = "import pyarrow.parquet as pq; t = pq.read_table(d + '/samples.parquet')";
    compare("pyarrow", read, i64::MAX - 10_000);
}

#[test]
fn polars_agrees_bit_by_bit() {
    let read = "import polars as pl; t = pl.read_parquet(d + '/samples.parquet').to_arrow()";
    compare("polars", read, i64::MAX - 10_000);
}

/// DuckDB counts times in microseconds, so it does not have those beyond 292,000 years.
#[test]
fn duckdb_agrees_bit_by_bit() {
    let read = "import duckdb
t = duckdb.sql(f\"set timezone = 'UTC'; set preserve_insertion_order = true; from '{d}/samples.parquet'\").to_arrow_table()";
    compare("duckdb", read, i64::MAX / 1000 - 10_000);
}
