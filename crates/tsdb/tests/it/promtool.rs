//! A block that Prometheus' own tool has made.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use duramen_model::TimeRange;
use duramen_tsdb::find;

use crate::round_trip::{disk, read};

/// Returns the tool that comes with Prometheus. Without it, prints that; a failure if all tests must
/// run.
pub(crate) fn promtool() -> Option<PathBuf> {
    let beside = std::env::var_os("DURAMEN_TEST_PROMETHEUS").map(PathBuf::from);
    let beside = beside.and_then(|prometheus| Some(prometheus.parent()?.join("promtool")));
    let tool = beside.filter(|tool| tool.is_file());

    if tool.is_none() {
        println!("skipped: there is no promtool beside DURAMEN_TEST_PROMETHEUS");
        assert!(
            std::env::var("DURAMEN_REQUIRE_ALL").as_deref() != Ok("1"),
            "there is no promtool"
        );
    }

    tool
}

#[test]
fn blocks_of_promtool_are_read_sample_by_sample() {
    let Some(tool) = promtool() else { return };
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("openmetrics.txt");
    let start_s = 1_700_000_000_i64 / 7200 * 7200;
    let mut lines = String::from("# TYPE requests counter\n");

    // Two blocks of two hours.
    for series in 0..20 {
        for step in 0..900_i64 {
            let value = step as f64 * 1.25 + f64::from(series);
            let at = start_s + step * 15;
            writeln!(
                lines,
                "requests_total{{instance=\"i{series:02}\"}} {value} {at}"
            )
            .unwrap();
        }
    }

    lines.push_str("# EOF\n");
    std::fs::write(&text, lines).unwrap();

    let output = Command::new(tool)
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .arg(&text)
        .arg(folder.path().join("data"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");

    let blocks = find(&*disk(), &folder.path().join("data")).unwrap();
    assert_eq!(blocks.len(), 2, "{blocks:?}");
    let mut samples = vec![Vec::new(); 20];

    for block in blocks {
        let series = read(&block, TimeRange::ALL).unwrap();
        assert_eq!(series.len(), 20);

        for (all, (labels, read)) in samples.iter_mut().zip(series) {
            assert_eq!(labels.get("__name__"), Some("requests_total"));
            all.extend(read.ts_ms.into_iter().zip(read.values));
        }
    }

    for (number, all) in samples.iter_mut().enumerate() {
        all.sort_by_key(|(ts_ms, _)| *ts_ms);
        let expected = (0..900_i64).map(|step| {
            let value = step as f64 * 1.25 + number as f64;
            ((start_s + step * 15) * 1000, value)
        });
        assert!(all.iter().copied().eq(expected), "series {number}");
    }
}
