//! The compliance queries, compared with the answers of Prometheus 2.42 over the same data.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use duramen_model::{Labels, Sample};
use duramen_promql::{
    Engine, EngineConfig, QueryContext, QueryLimits, QueryTimes, RollupChoice, Value,
};
use duramen_runtime::SystemClock;
use duramen_source::MemorySource;
use serde_json::Value as Json;

use duramen_testkit::shared;

/// How many queries are answered, of those with the same answer in Prometheus 3. May only grow.
const ANSWERED_MIN: usize = 535;

fn lines(path: &Path) -> Vec<Json> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn labels(json: &Json) -> Labels {
    let pairs = json
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()));

    Labels::from_pairs(pairs).unwrap()
}

fn demo() -> Option<MemorySource> {
    let mut source = MemorySource::default();

    for line in lines(&shared::path(
        "conformance/prometheus-2.42-answers/demo.jsonl.gz",
    )?) {
        let ts = line["t_ms"].as_array().unwrap();
        let values = line["v"].as_array().unwrap();
        let samples = ts
            .iter()
            .zip(values)
            .map(|(t, v)| Sample::new(t.as_i64().unwrap(), v.as_f64().unwrap()));
        source.push(labels(&line["labels"]), samples);
    }

    Some(source)
}

type Series = BTreeMap<String, Vec<(i64, f64)>>;

fn wanted(line: &Json) -> Series {
    let series = line["resp"]["data"]["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|series| {
            let points = series["values"].as_array().unwrap().iter().map(|point| {
                let seconds = point[0].as_f64().unwrap();
                (
                    (seconds * 1000.0).round() as i64,
                    point[1].as_str().unwrap().parse().unwrap(),
                )
            });

            (labels(&series["metric"]).to_string(), points.collect())
        });

    series.collect()
}

fn near(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-5 * a.abs().max(b.abs())
}

fn same(got: &Series, wanted: &Series) -> bool {
    got.keys().eq(wanted.keys())
        && got.values().zip(wanted.values()).all(|(got, wanted)| {
            got.len() == wanted.len()
                && got
                    .iter()
                    .zip(wanted)
                    .all(|(g, w)| g.0 == w.0 && near(g.1, w.1))
        })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_compliance_queries_are_answered_as_prometheus_answers_them() {
    let (Some(source), Some(golden)) = (
        demo(),
        shared::path("conformance/prometheus-2.42-answers/golden.jsonl.gz"),
    ) else {
        return;
    };

    let context = QueryContext {
        source: Arc::new(source),
        lookback_ms: None,
        first_reads: true,
        limits: QueryLimits::default(),
        rollups: RollupChoice::default(),
    };

    let engine = Engine::new(EngineConfig::default(), Arc::new(SystemClock::default()));
    let mut answered = 0;
    let mut unsupported = Vec::new();
    let mut wrong = Vec::new();
    let mut differs = 0;

    for line in lines(&golden) {
        let query = line["query"].as_str().unwrap();
        if line
            .get("v3_differs")
            .is_some_and(|differs| *differs != Json::Bool(false))
        {
            differs += 1;
            continue;
        }

        let ms = |key: &str| line[key].as_i64().unwrap() * 1000;
        let answer = match duramen_syntax::parse(query) {
            Ok(expr) => engine
                .range(
                    &context,
                    &expr,
                    QueryTimes::range(ms("start"), ms("end"), ms("step")).unwrap(),
                )
                .await
                .map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };

        let failed = line["code"].as_i64() != Some(200);

        match answer {
            Err(error) if error.starts_with("not supported yet") => {
                unsupported.push(format!("{query}: {error}"))
            }
            Err(_) if failed => answered += 1,
            Err(error) => wrong.push(format!("{query}: {error}")),
            Ok(_) if failed => wrong.push(format!("{query}: an answer where an error was due")),
            Ok(answer) => {
                let Value::Matrix(series) = answer.value else {
                    panic!("{query}: no matrix")
                };
                let got = series
                    .into_iter()
                    .map(|series| (series.labels.to_string(), series.points))
                    .collect();

                if same(&got, &wanted(&line)) {
                    answered += 1
                } else {
                    wrong.push(format!("{query}: {got:?}"))
                }
            }
        }
    }

    println!(
        "answered={answered} unsupported={} wrong={} differs={differs}",
        unsupported.len(),
        wrong.len()
    );

    unsupported
        .iter()
        .for_each(|query| println!("unsupported: {query}"));
    wrong
        .iter()
        .for_each(|query| println!("wrong: {:.600}", query));

    assert!(wrong.is_empty(), "{} wrong answers", wrong.len());
    assert!(answered >= ANSWERED_MIN, "{answered} queries answered");
}
