//! The route `explain`: the operators of a query, and what they did.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use duramen_promql::{Answer, PlanNode, QueryTimes, Value, Work};
use duramen_query::Partial;
use serde_json::{Value as Json, json};

use crate::http::answer::envelope::partial;
use crate::http::answer::failure::Failure;
use crate::http::prometheus::query::{asked, options, range_times};
use crate::http::prometheus::stats::Detail;
use crate::http::request::form::Params;
use crate::http::request::tenant::Tenant;
use crate::http::roles::state::querier::QuerierState;

pub(crate) async fn explain(
    State(state): State<Arc<QuerierState>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    let times = times(&params, state.clock.now_ms())?;
    let analyze = flag(&params, "analyze")?;
    let format = Format::of(&params)?;
    let options = options(&params)?;
    let query = asked(&params);
    let started = state.clock.monotonic();

    let (answer, plan, left_out) = if analyze {
        let analyzed = state.querier.analyze(&tenant, &query, times, options);
        let (Partial { value, left_out }, _) = analyzed.await?.into_parts();
        let (answer, plan) = value;

        (Some(answer), plan, left_out)
    } else {
        let explained = state.querier.explain(&tenant, &query, times, options);
        let (Partial { value, left_out }, _) = explained.await?.into_parts();

        (None, value, left_out)
    };

    let took = state.clock.monotonic().saturating_sub(started);
    let stats = answer
        .as_ref()
        .and_then(|answer| Detail::Totals.render(&answer.stats, took));

    Ok(Explained {
        plan,
        answer,
        left_out,
        stats,
    }
    .render(format))
}

/// Returns the times of the query: one time, or a range if `start` is given.
fn times(params: &Params, now_ms: i64) -> Result<QueryTimes, Failure> {
    if params.given("start").is_some() {
        return range_times(params);
    }

    Ok(QueryTimes::at(params.time_ms("time")?.unwrap_or(now_ms)))
}

fn flag(params: &Params, name: &str) -> Result<bool, Failure> {
    match params.given(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Failure::parameter(name, "it is \"true\" or \"false\"")),
    }
}

/// The deepest level that is indented. Operators below it have the same indent, because a long
/// chain is as deep.
const INDENT_MAX: usize = 100;

#[derive(Clone, Copy, Debug)]
enum Format {
    Json,
    Text,
}

impl Format {
    fn of(params: &Params) -> Result<Self, Failure> {
        match params.given("format") {
            None | Some("json") => Ok(Self::Json),
            Some("text") => Ok(Self::Text),
            Some(_) => Err(Failure::parameter("format", "it is \"json\" or \"text\"")),
        }
    }
}

/// What is known of a query. The answer and its statistics are there if it was evaluated.
struct Explained {
    plan: Option<PlanNode>,
    answer: Option<Answer>,
    /// A warning for each block that the answer leaves out.
    left_out: Vec<String>,
    stats: Option<Json>,
}

impl Explained {
    fn render(self, format: Format) -> Response {
        match format {
            Format::Json => partial(
                &self.json(),
                &self.left_out,
                self.answer.as_ref().map_or(&[], |answer| &answer.warnings),
            ),
            Format::Text => {
                let plain = HeaderValue::from_static("text/plain; charset=utf-8");
                ([(header::CONTENT_TYPE, plain)], self.text()).into_response()
            }
        }
    }

    /// Returns the operators in the order of a printed plan. Each has its depth, and reads from
    /// those that follow it one level deeper.
    fn json(&self) -> Json {
        let operators = self
            .plan
            .iter()
            .flat_map(PlanNode::lines)
            .map(|(depth, node)| {
                let mut line =
                    json!({ "depth": depth, "operator": node.operator, "details": node.details });
                if self.answer.is_some() {
                    line["work"] = work_json(&node.work);
                }

                line
            });

        let mut explained = json!({ "operators": operators.collect::<Vec<_>>() });
        if let (Some(answer), Some(stats)) = (&self.answer, &self.stats) {
            explained["resultSeries"] = series(&answer.value).into();
            explained["stats"] = stats.clone();
        }

        explained
    }

    fn text(&self) -> String {
        let mut text = String::new();

        for (depth, node) in self.plan.iter().flat_map(PlanNode::lines) {
            let PlanNode {
                operator, details, ..
            } = node;
            let indent = "  ".repeat(depth.min(INDENT_MAX));
            let _ = writeln!(text, "{indent}{operator}: {details}");

            if self.answer.is_some() {
                let _ = writeln!(text, "{indent}  -> {}", work_text(&node.work));
            }
        }

        if let (Some(answer), Some(stats)) = (&self.answer, &self.stats) {
            let _ = writeln!(text, "series={}, {}", series(&answer.value), pairs(stats));
        }

        for warning in &self.left_out {
            let _ = writeln!(text, "{warning}");
        }

        text
    }
}

fn series(value: &Value) -> usize {
    match value {
        Value::Scalar { .. } | Value::String { .. } => 1,
        Value::Vector(series) => series.len(),
        Value::Matrix(series) => series.len(),
    }
}

fn work_json(work: &Work) -> Json {
    let mut json = json!({
        "busySeconds": work.busy.as_secs_f64(),
        "rows": work.rows,
        "batches": work.batches,
        "bytes": work.bytes,
    });

    if !work.reads.is_empty() {
        json["reads"] = work
            .reads
            .iter()
            .map(|(what, count)| (what.name(), *count))
            .collect();
    }

    json
}

fn work_text(work: &Work) -> String {
    let Work {
        busy,
        rows,
        batches,
        bytes,
        reads,
    } = work;

    let mut text = format!("busy={busy:?}, rows={rows}, batches={batches}, bytes={bytes}");
    for (what, count) in reads {
        let _ = write!(text, ", {}={count}", what.name());
    }

    text
}

/// Prints the numbers of the statistics, in the order of their names.
fn pairs(stats: &Json) -> String {
    let groups = stats
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, group)| group.as_object());

    let pairs: Vec<_> = groups
        .flatten()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();

    pairs.join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use duramen_source::Read;

    use super::*;

    fn plan() -> PlanNode {
        let work = |ms, reads| Work {
            busy: Duration::from_millis(ms),
            rows: 3,
            batches: 1,
            bytes: 64,
            reads,
        };

        let scan = PlanNode {
            operator: "ScanExec".to_owned(),
            details: "matchers={a=\"b\"}".to_owned(),
            work: work(2, vec![(Read::Heads, 1), (Read::Gets, 4)]),
            inputs: vec![],
        };

        PlanNode {
            operator: "SumExec".to_owned(),
            details: "by=x".to_owned(),
            work: work(1, vec![]),
            inputs: vec![scan],
        }
    }

    fn analyzed() -> Explained {
        let answer = Answer {
            value: Value::Scalar {
                ts_ms: 0,
                value: 1.0,
            },
            warnings: vec![],
            infos: vec![],
            stats: duramen_promql::QueryStats::default(),
            resolutions_ms: vec![],
            memory: duramen_promql::AnswerMemory::default(),
        };

        let stats = Some(json!({ "samples": { "samplesRead": 7 } }));
        Explained {
            plan: Some(plan()),
            answer: Some(answer),
            left_out: vec![],
            stats,
        }
    }

    #[test]
    fn a_plan_is_told_as_lines_and_as_a_list_with_depths() {
        let explained = Explained {
            plan: Some(plan()),
            answer: None,
            left_out: vec![],
            stats: None,
        };

        assert_eq!(
            explained.text(),
            "SumExec: by=x\n  ScanExec: matchers={a=\"b\"}\n"
        );

        let operators = json!([
            { "depth": 0, "operator": "SumExec", "details": "by=x" },
            { "depth": 1, "operator": "ScanExec", "details": "matchers={a=\"b\"}" },
        ]);

        assert_eq!(explained.json(), json!({ "operators": operators }));
    }

    #[test]
    fn what_operators_did_stands_beside_them() {
        let text = "SumExec: by=x\n  -> busy=1ms, rows=3, batches=1, bytes=64\n  ScanExec: matchers={a=\"b\"}\n    \
                    -> busy=2ms, rows=3, batches=1, bytes=64, heads=1, gets=4\nseries=1, samplesRead=7\n";
        assert_eq!(analyzed().text(), text);

        let json = analyzed().json();
        let work = json!({ "busySeconds": 0.002, "rows": 3, "batches": 1, "bytes": 64, "reads": { "heads": 1, "gets": 4 } });

        assert_eq!(json["operators"][1]["work"], work);
        assert_eq!(
            (
                &json["resultSeries"],
                &json["stats"]["samples"]["samplesRead"]
            ),
            (&json!(1), &json!(7))
        );
    }
}
