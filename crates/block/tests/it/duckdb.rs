//! The files are plain Parquet: other engines can read them unchanged.

use std::path::Path;
use std::process::Command;

use duramen_block::WriterOptions;

use crate::fixture::{Series, sorted, write, write_with};
use crate::golden::{everything, families};
use crate::round_trip::small;

/// Whether this Python can import `module`. A skip is printed. It is a failure if all must run.
fn has(module: &str) -> bool {
    let found = Command::new("python3")
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
    let output = Command::new("python3")
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

#[test]
fn duckdb_makes_buckets_of_spans_and_deltas() {
    if !has("duckdb") {
        return;
    }

    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("b");
    write_with(&dir, &everything(), families(), small());

    let docs = include_str!("../../../../docs/formats/block.md");
    let (_, rest) = docs.split_once("```sql\n-- buckets").unwrap();
    let (query, _) = rest.split_once("```").unwrap();

    let script = format!(
        "import duckdb, os, sys
os.chdir(os.path.dirname(sys.argv[1]))
os.rename('b', 'block=1')
rows = duckdb.sql(\"\"\"with buckets as (--{query})
select round(upper_bound, 4), n from buckets where ts = (select max(ts) from buckets) order by 1\"\"\").fetchall()
print(*[x for row in rows for x in row])"
    );

    assert_eq!(python(&script, &dir), "0.8409 119 1.1892 119 1.2968 238");
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
