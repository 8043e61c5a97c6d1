//! The compliance queries over HTTP, compared with the answers of Prometheus 2.42 for the same
//! data.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a recording that cannot be read fails its test, and the score is said aloud"
)]

use std::time::Duration;

use duramen_testkit::shared;
use futures::StreamExt;
use serde_json::Value as Json;

use crate::harness::demo::{fill, lines};
use crate::harness::duramen::Duramen;
use crate::harness::http::{Answer, Request};
use crate::harness::samples::{LabelSet, labels};
use crate::harness::wait;

/// The least number of answers that equal those of Prometheus. There are 539 queries, and
/// Prometheus 3 answers 4 of them differently. The number may only grow.
const ANSWERED_MIN: usize = 535;
/// The number of queries at once.
const AT_ONCE: usize = 4;
/// The largest difference of two equal values, relative to the larger one.
const TOLERANCE: f64 = 1e-5;

/// One recorded query.
struct Case {
    query: String,
    /// `start`, `end` and `step` in the form of the API.
    times: [String; 3],
    /// `None` for an error.
    wanted: Option<Vec<Series>>,
}

/// Labels, and points of printed seconds and values.
type Series = (LabelSet, Vec<(f64, f64)>);

impl Case {
    /// Returns `None` if Prometheus 3 has a different answer.
    fn read(line: &Json) -> Option<Self> {
        if line
            .get("v3_differs")
            .is_some_and(|differs| *differs != Json::Bool(false))
        {
            return None;
        }

        let times = ["start", "end", "step"].map(|key| line[key].to_string());
        let wanted = (line["code"] == 200).then(|| matrix(&line["resp"]["data"]));

        Some(Self {
            query: line["query"].as_str().unwrap().to_owned(),
            times,
            wanted,
        })
    }

    fn params(&self) -> [(&str, &str); 4] {
        let [start, end, step] = &self.times;
        [
            ("query", &self.query),
            ("start", start),
            ("end", end),
            ("step", step),
        ]
    }

    /// Returns an error if the answer differs.
    fn check(&self, answer: &Answer) -> Result<(), String> {
        let Some(wanted) = &self.wanted else {
            return if [400, 422].contains(&answer.status) {
                Ok(())
            } else {
                Err("an error was due".to_owned())
            };
        };

        if answer.status != 200 {
            return Err(answer.text());
        }

        let found = matrix(&answer.data());
        if same(&found, wanted) {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    }
}

/// Returns the series of a matrix in the order in which they are compared. A range query sorts its
/// answer.
fn matrix(data: &Json) -> Vec<Series> {
    assert_eq!(data["resultType"], "matrix");

    let point = |point: &Json| {
        (
            point[0].as_f64().unwrap(),
            point[1].as_str().unwrap().parse().unwrap(),
        )
    };

    let one = |one: &Json| {
        (
            labels(&one["metric"]),
            one["values"]
                .as_array()
                .unwrap()
                .iter()
                .map(point)
                .collect(),
        )
    };

    let mut series: Vec<Series> = data["result"].as_array().unwrap().iter().map(one).collect();
    series.sort_by(|a, b| a.0.cmp(&b.0));
    series
}

fn same(found: &[Series], wanted: &[Series]) -> bool {
    let near = |a: f64, b: f64| {
        a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
    };
    let same_points = |found: &[(f64, f64)], wanted: &[(f64, f64)]| {
        found.len() == wanted.len()
            && found
                .iter()
                .zip(wanted)
                .all(|(f, w)| f.0 == w.0 && near(f.1, w.1))
    };

    found.len() == wanted.len()
        && found
            .iter()
            .zip(wanted)
            .all(|(found, wanted)| found.0 == wanted.0 && same_points(&found.1, &wanted.1))
}

/// Runs all queries and compares the score with the committed one.
async fn score(
    server: &Duramen,
    cases: &[Case],
    how: &str,
    request: fn(&str, &[(&str, &str)]) -> Request,
) {
    let asked = futures::stream::iter(cases).map(async |case| {
        let answer = server
            .send(&request("/api/v1/query_range", &case.params()))
            .await;
        case.check(&answer)
            .map_err(|why| format!("{}: {:.600}", case.query, why))
    });

    let wrong: Vec<String> = asked
        .buffer_unordered(AT_ONCE)
        .filter_map(async |found| found.err())
        .collect()
        .await;

    let answered = cases.len() - wrong.len();
    println!("compliance over HTTP, {how}: {answered} of {}", cases.len());
    wrong.iter().for_each(|one| println!("wrong: {one}"));

    assert!(
        answered >= ANSWERED_MIN,
        "{how}: {answered} of {}",
        cases.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_compliance_queries_are_answered_as_prometheus_answers_them() {
    let recorded = |name| shared::path(&format!("conformance/prometheus-2.42-answers/{name}"));
    let (Some(demo), Some(golden)) = (recorded("demo.jsonl.gz"), recorded("golden.jsonl.gz"))
    else {
        return;
    };

    let cases: Vec<Case> = lines(&golden).iter().filter_map(Case::read).collect();
    let server = Duramen::local().await;
    fill(&server, &demo).await;
    score(&server, &cases, "GET from the head", Request::get).await;
    score(&server, &cases, "POST from the head", Request::post).await;

    assert!(server.metric("duramen_head_bytes").await > 0.0);

    server.flush().await;

    // The head may be forgetting series meanwhile, so the two numbers are compared until they agree.
    let every_sample_is_in_blocks = || async {
        let all = server.metric("duramen_head_bytes").await;
        let series = "duramen_head_series_bytes{tenant=\"anonymous\"}";
        let of_series = server.metric(series).await;
        (all == of_series).then_some(())
    };

    let deadline = Duration::from_secs(20);
    wait::until(
        "every sample is in blocks",
        deadline,
        every_sample_is_in_blocks,
    )
    .await;

    score(&server, &cases, "GET from blocks", Request::get).await;
}
