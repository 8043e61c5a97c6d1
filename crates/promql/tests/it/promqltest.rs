//! Upstream's test scripts. What each word of a script means is in the grammar of the shared folder.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_model::{GoRegex, Labels};
use duramen_promql::{
    Answer, Engine, EngineConfig, Error, Features, QueryContext, QueryLimits, RangeSeries, SampleValue, Value,
};
use duramen_runtime::SystemClock;
use duramen_syntax::Expr;
use duramen_syntax::ast::At;

use crate::shared;

mod script;
mod sequence;

use script::{Eval, Store, ms};
use sequence::{Item, near, near_floats};

/// How many evals there are, all of which pass. May only grow.
const PASSED_MIN: usize = 1665;

/// Evals that ask for delayed removal of names, and differ where they go at once; as scripts and lines.
const DELAYED: &[(&str, &[usize])] =
    &[("name_label_dropping.test", &[55, 60, 67, 80, 108]), ("type_and_unit.test", &[73, 78, 198])];

/// The scripts whose series have their types and units as labels.
const TYPED: &[&str] = &["type_and_unit.test"];

#[derive(Debug, PartialEq)]
enum Outcome {
    Passed,
    Unsupported(String),
    Wrong(String),
}

impl Eval {
    fn expectation(&self, kind: &str) -> Option<&str> {
        self.expects.iter().find_map(|line| {
            let rest = line.strip_prefix("expect ")?.strip_prefix(kind)?;
            (rest.is_empty() || rest.starts_with(' ')).then_some(rest.trim())
        })
    }

    async fn run(&self, engine: &Engine, store: &Store) -> Outcome {
        let expr = match duramen_syntax::parse(&self.query) {
            Ok(expr) => expr,
            Err(error) => return Outcome::Wrong(error.to_string()),
        };
        let source = Arc::new(store.source.clone());
        let context =
            QueryContext { source, tenants: Arc::from([]), lookback_ms: None, limits: QueryLimits::default() };
        let (start, end, step) = self.times;
        let answer = if self.is_range {
            engine.range(&context, &expr, start, end, step).await
        } else {
            engine.instant(&context, &expr, start).await
        };
        let outcome = self.judge(answer);
        let timeless = ["start()", "end()", "range()", "step()"].iter().all(|word| !self.query.contains(word));
        let fails = self.expectation("fail").is_some();
        if self.is_range || outcome != Outcome::Passed {
            return outcome;
        }
        if !asks_for_time(&expr) {
            let pinned = pinned(expr.clone(), start);
            let around = if start == 0 { [-1000, 0, 1000, 1000] } else { [-10 * start, 0, start / 5, 10 * start] };
            for time_ms in around {
                let outcome = self.judge(engine.instant(&context, &pinned, time_ms).await);
                if outcome != Outcome::Passed {
                    return outcome;
                }
            }
        }
        let as_a_vector = self.expectation("string").is_none() && self.range_vector.is_none();
        if fails || !timeless || !as_a_vector || self.expectation("ordered").is_some() {
            return outcome;
        }
        // As upstream: the values are judged, and not the remarks, which are about the steps beside it too.
        match engine.range(&context, &expr, start - 60_000, start + 60_000, 60_000).await {
            Ok(answer) => self.difference(&middle(answer, start).value).map_or(Outcome::Passed, Outcome::Wrong),
            Err(error) => Outcome::Wrong(format!("around it: {error}")),
        }
    }

    fn judge(&self, answer: Result<Answer, Error>) -> Outcome {
        let wrong = |text: String| Outcome::Wrong(text);
        match (answer, self.expectation("fail")) {
            (Err(error @ Error::Unsupported { .. }), _) => Outcome::Unsupported(error.to_string()),
            (Err(error), Some(text)) if told(text, &error.to_string()) => Outcome::Passed,
            (Err(error), _) => wrong(error.to_string()),
            (Ok(answer), Some(_)) => wrong(format!("no failure: {answer:?}")),
            (Ok(answer), None) => match self.remarks(&answer).or_else(|| self.difference(&answer.value)) {
                Some(difference) => wrong(difference),
                None => Outcome::Passed,
            },
        }
    }

    /// Where the remarks are not those that are expected: each line is told, and where there are lines, nothing else is.
    fn remarks(&self, answer: &Answer) -> Option<String> {
        for (kind, none, got) in [("warn", "no_warn", &answer.warnings), ("info", "no_info", &answer.infos)] {
            let wanted: Vec<&str> =
                self.expects.iter().filter_map(|l| l.strip_prefix("expect ")?.strip_prefix(kind)).collect();
            let fits = wanted.iter().all(|text| got.iter().any(|got| told(text.trim(), got)));
            let expected = wanted.is_empty() || got.iter().all(|got| wanted.iter().any(|text| told(text.trim(), got)));
            if !fits || !expected || self.expectation(none).is_some() && !got.is_empty() {
                return Some(format!("{kind}: {got:?}"));
            }
        }
        None
    }

    fn difference(&self, value: &Value) -> Option<String> {
        let (start, end, step) = self.range_vector.unwrap_or(self.times);
        let got: Vec<(Labels, Vec<Option<Item>>)> = match value {
            Value::Scalar { value, .. } => {
                return (!self.scalar.is_some_and(|wanted| near_floats(*value, wanted))).then(|| format!("{value}"));
            }
            Value::String { value, .. } => {
                let wanted = self.expectation("string").unwrap_or_default();
                let wanted = duramen_syntax::parse(wanted);
                let same = matches!(wanted, Ok(Expr::String { value: wanted, .. }) if wanted == *value);
                return (!same).then(|| value.clone());
            }
            Value::Vector(series) => series.iter().map(|s| (s.labels.clone(), vec![Some(item(&s.value))])).collect(),
            Value::Matrix(series) => series.iter().map(|s| (s.labels.clone(), on_grid(s, start, end, step))).collect(),
        };
        if let Some(wanted) = self.scalar {
            let float = got.first().and_then(|(_, cells)| cells[0].as_ref().and_then(Item::float));
            let same = got.len() == 1 && near_floats(float.unwrap_or(f64::NAN), wanted);
            return (!same).then(|| format!("{got:?}"));
        }
        let ordered = self.expectation("ordered").is_none()
            || got.iter().map(|(labels, _)| labels).eq(self.series.iter().map(|(labels, _)| labels));
        let got: BTreeMap<_, _> = got.into_iter().collect();
        let wanted: BTreeMap<_, _> = self.series.iter().cloned().collect();
        let same = got.keys().eq(wanted.keys()) && got.values().zip(wanted.values()).all(|(g, w)| near_all(g, w));
        (!same || !ordered).then(|| format!("got {got:?}\n  wanted {wanted:?}"))
    }
}

fn item(value: &SampleValue) -> Item {
    match value {
        SampleValue::Float(value) => Item::Float(*value),
        SampleValue::Histogram(histogram) => Item::Histogram { histogram: histogram.clone(), hint_set: false },
    }
}

/// Whether the answer depends on when it is asked for, whatever `@` says.
fn asks_for_time(expr: &Expr) -> bool {
    let mut found = false;
    expr.walk(&mut |expr| {
        let Expr::Call { func, .. } = expr else { return };
        let dates = ["day", "hour", "minute", "month", "year"].iter().any(|word| func.name.starts_with(word));
        found |= dates || ["time", "timestamp", "predict_linear", "start", "end", "range", "step"].contains(&func.name);
    });
    found
}

/// The expression with `@` on every selector that has none.
fn pinned(mut expr: Expr, time_ms: i64) -> Expr {
    let pin = |at: &mut Option<At>| *at = at.or(Some(At::TimestampMs(time_ms)));
    let boxed = |expr: &mut Box<Expr>| **expr = pinned((**expr).clone(), time_ms);
    match &mut expr {
        Expr::VectorSelector(selector) => pin(&mut selector.at),
        Expr::MatrixSelector { selector, .. } => pin(&mut selector.at),
        Expr::Subquery { at, .. } => pin(at),
        Expr::Unary { expr, .. } | Expr::Paren { expr, .. } => boxed(expr),
        Expr::Aggregate { expr, param, .. } => {
            boxed(expr);
            param.iter_mut().for_each(boxed);
        }
        Expr::Binary { lhs, rhs, .. } => [lhs, rhs].into_iter().for_each(boxed),
        Expr::Call { args, .. } => args.iter_mut().for_each(|arg| *arg = pinned(arg.clone(), time_ms)),
        Expr::Number { .. } | Expr::String { .. } => {}
    }
    expr
}

/// Whether a text is what `msg:..` or `regex:..` asks for.
fn told(wanted: &str, got: &str) -> bool {
    match wanted.split_once(':') {
        Some(("msg", text)) => got == text.trim(),
        Some(("regex", pattern)) => {
            GoRegex::parse(&format!("(?s:.*)(?:{})(?s:.*)", pattern.trim())).is_ok_and(|re| re.is_match(got))
        }
        _ => true,
    }
}

fn on_grid(series: &RangeSeries, start: i64, end: i64, step: i64) -> Vec<Option<Item>> {
    let mut points: BTreeMap<i64, Item> = series.points.iter().map(|(ts, value)| (*ts, Item::Float(*value))).collect();
    points.extend(
        series
            .histograms
            .iter()
            .map(|(ts, histogram)| (*ts, Item::Histogram { histogram: Box::new(histogram.clone()), hint_set: false })),
    );
    let on_grid = (0..=(end - start) / step.max(1)).map(|at| points.remove(&(start + at * step))).collect();
    assert!(points.is_empty(), "points beside the grid: {points:?}");
    on_grid
}

/// The instant inside of a range answer.
fn middle(mut answer: Answer, time_ms: i64) -> Answer {
    if let Value::Matrix(series) = &mut answer.value {
        for series in series.iter_mut() {
            series.points.retain(|(ts, _)| *ts == time_ms);
            series.histograms.retain(|(ts, _)| *ts == time_ms);
        }
        series.retain(|series| !series.points.is_empty() || !series.histograms.is_empty());
    }
    answer
}

fn near_all(got: &[Option<Item>], wanted: &[Option<Item>]) -> bool {
    (0..got.len().max(wanted.len())).all(|at| {
        match (got.get(at).cloned().flatten(), wanted.get(at).cloned().flatten()) {
            (Some(got), Some(wanted)) => near(&got, &wanted),
            (got, wanted) => got.is_none() && wanted.is_none(),
        }
    })
}

/// Runs the evals of a script. The lines are trimmed, and those with comments empty, which ends a block.
async fn run_script(engine: &Engine, text: &str) -> Vec<(Eval, Outcome)> {
    let lines: Vec<&str> =
        text.lines().map(|line| if line.trim().starts_with('#') { "" } else { line.trim() }).collect();
    let (mut store, mut outcomes, mut at) = (Store::default(), Vec::new(), 0);
    while at < lines.len() {
        let (line, head) = (at + 1, lines[at]);
        let block: Vec<&str> = lines[at + 1..].iter().take_while(|line| !line.is_empty()).copied().collect();
        let starts = |word: &str| head.to_lowercase().starts_with(word);
        at += 1;
        if starts("clear") {
            store = Store::default();
        } else if starts("load") {
            let (command, gap) = head.split_once(char::is_whitespace).expect("a gap");
            store.load(ms(gap.trim()), &block, command.contains("nhcb"));
            at += block.len();
        } else if starts("eval") {
            // A script may leave the blank line between evals out.
            let block: Vec<&str> = block.into_iter().take_while(|line| !line.starts_with("eval")).collect();
            at += block.len();
            let eval = Eval::parse(line, head, &block);
            let outcome = eval.run(engine, &store).await;
            outcomes.push((eval, outcome));
        }
    }
    outcomes
}

/// As upstream runs them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstream_scripts_pass_with_delayed_name_removal() {
    run_scripts(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstream_scripts_pass_where_names_go_at_once() {
    run_scripts(false).await;
}

fn asks_for_delay(script: &str, line: usize) -> bool {
    DELAYED.iter().any(|(name, lines)| *name == script && lines.contains(&line))
}

async fn run_scripts(delayed_name_removal: bool) {
    let Some(folder) = shared::path("conformance/promqltest") else { return };
    let mut scripts: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    let (mut passed, mut at_once, mut unsupported, mut wrong) = (0, 0, BTreeMap::<String, usize>::new(), 0);
    for path in scripts {
        let script = path.file_name().unwrap().to_str().unwrap();
        let features =
            Features { start_timestamps: true, delayed_name_removal, type_and_unit_labels: TYPED.contains(&script) };
        let config = EngineConfig { partitions: 3, features, ..EngineConfig::default() };
        let engine = Engine::new(config, Arc::new(SystemClock::default()));
        for (eval, outcome) in run_script(&engine, &std::fs::read_to_string(&path).unwrap()).await {
            match outcome {
                Outcome::Passed => passed += 1,
                Outcome::Unsupported(what) => *unsupported.entry(what).or_default() += 1,
                Outcome::Wrong(_) if !delayed_name_removal && asks_for_delay(script, eval.line) => at_once += 1,
                Outcome::Wrong(why) => {
                    wrong += 1;
                    println!("wrong: {script}:{} {}\n  {why:.900}", eval.line, eval.query);
                }
            }
        }
    }
    println!("passed={passed} wrong={wrong} unsupported={unsupported:#?}");
    assert_eq!(wrong, 0, "wrong answers");
    assert!(passed + at_once >= PASSED_MIN, "{passed} evals passed");
    assert_eq!(at_once > 0, !delayed_name_removal, "the switch has no effect");
}
