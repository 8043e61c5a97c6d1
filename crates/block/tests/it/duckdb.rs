//! The files are plain Parquet: other engines read them as they lie.

use std::path::Path;
use std::process::Command;

use duramen_block::WriterOptions;

use crate::fixture::{Series, sorted, write};
use crate::round_trip::small;

/// Whether this Python can import `module`. A skip is printed, and is a failure where all must run.
fn has(module: &str) -> bool {
    let found = Command::new("python3").args(["-c", &format!("import {module}")]).output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: python3 cannot import {module}");
        assert!(std::env::var("DURAMEN_REQUIRE_ALL").as_deref() != Ok("1"), "python3 cannot import {module}");
    }
    found
}

fn python(script: &str, dir: &Path) -> String {
    let output = Command::new("python3").args(["-c", script]).arg(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// 200 series of 60 samples with whole numbers, decimals, floats and a map entry; the sum of their values.
fn block(dir: &Path, options: WriterOptions) -> f64 {
    let one = |i: i64| {
        let number = i.to_string();
        let values = (0..60).map(move |t| (t * 1000, if i % 2 == 0 { t as f64 / 10.0 } else { (t as f64).sqrt() }));
        Series::new(&[("__name__", "m"), ("i", &number), ("Case", "x"), ("case", "y")], values)
    };
    let series = sorted((0..200).map(one).collect());
    write(dir, &series, options);
    series.iter().flat_map(|s| s.samples.iter().map(|(_, bits)| f64::from_bits(*bits))).sum()
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
        assert!((parts[4].parse::<f64>().unwrap() - sum).abs() < 1e-6, "{answer} {sum}");
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
