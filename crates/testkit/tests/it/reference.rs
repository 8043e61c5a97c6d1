//! The engine against the naive evaluator, over random data and random expressions.
//!
//! `DURAMEN_SEED` says with which world to begin, and `DURAMEN_WORLDS` how many there are: a failure prints its seed, and that seed alone repeats it.

mod expressions;
mod world;

use std::sync::Arc;

use duramen_model::ErrorKind;
use duramen_promql::{Answer, Engine, EngineConfig, Error, QueryContext, Value};
use duramen_runtime::SystemClock;
use duramen_syntax::Expr;
use duramen_syntax::ast::ValueType;
use duramen_testkit::promqltest::{Mode, Store};
use duramen_testkit::reference::{self, Fault, LabelSet, Reference, Vector, When};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use expressions::Writer;
use world::World;

/// Worlds of a short run.
const WORLDS: u64 = 12;

/// Expressions in each world.
const EXPRESSIONS: usize = 120;

/// Every so many expressions one is asked of blocks and head as well.
const STORED_EVERY: usize = 6;

fn environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Where and how expressions are asked.
struct Asked {
    reference: Reference,
    engines: [Engine; 2],
    memory: Store,
    stored: [Store; 2],
}

impl Asked {
    async fn new(world: &World) -> anyhow::Result<Self> {
        let engine = |partitions| {
            let config = EngineConfig { partitions, ..EngineConfig::default() };
            Engine::new(config, Arc::new(SystemClock::default()))
        };
        let [mut memory, mut blocks, mut split] =
            [Store::open(Mode::Memory).await?, Store::open(Mode::Blocks).await?, Store::open(Mode::Split).await?];
        for store in [&mut memory, &mut blocks, &mut split] {
            store.add(&world.loaded()).await?;
        }
        Ok(Self { reference: world.reference(), engines: [engine(1), engine(3)], memory, stored: [blocks, split] })
    }

    /// What is wrong with the answer at one time.
    async fn instant(&self, expr: &Expr, time_ms: i64) -> Option<String> {
        let when = When { time_ms, start_ms: time_ms, end_ms: time_ms };
        let wanted = self.reference.evaluate(expr, when);
        let context = self.memory.context();
        for engine in &self.engines {
            let got = engine.instant(&context, expr, time_ms).await;
            if let Some(fault) = fault(&got.map(|answer| values(&answer, time_ms)), &wanted) {
                return Some(format!("at {time_ms} ms: {fault}"));
            }
        }
        None
    }

    /// What is wrong with the answer of a range query: each of its steps is an instant.
    async fn range(&self, expr: &Expr, (start_ms, end_ms, step_ms): (i64, i64, i64)) -> Option<String> {
        let steps: Vec<i64> = (0..=(end_ms - start_ms) / step_ms).map(|step| start_ms + step * step_ms).collect();
        let wanted: Vec<_> =
            steps.iter().map(|&time_ms| self.reference.evaluate(expr, When { time_ms, start_ms, end_ms })).collect();
        let context = self.memory.context();
        for engine in &self.engines {
            let got = engine.range(&context, expr, start_ms, end_ms, step_ms).await;
            if got.is_err() && wanted.iter().any(Result::is_err) {
                continue;
            }
            for (time_ms, wanted) in steps.iter().zip(&wanted) {
                let got = got.as_ref().map(|answer| values(answer, *time_ms)).map_err(Clone::clone);
                if let Some(fault) = fault(&got, wanted) {
                    return Some(format!(
                        "from {start_ms} to {end_ms} ms, step {step_ms} ms, at {time_ms} ms: {fault}"
                    ));
                }
            }
        }
        None
    }

    /// What is wrong with the answer from blocks, and from blocks and head: it is that from memory, bit for bit.
    async fn stored(&self, expr: &Expr, times: (i64, i64, i64)) -> Option<String> {
        let ask = |context: QueryContext| async move {
            let answer = self.engines[0].range(&context, expr, times.0, times.1, times.2).await;
            answer.map_err(|error| error.to_string()).map(|answer| format!("{:?}", answer.value))
        };
        let wanted = ask(self.memory.context()).await;
        for (store, name) in self.stored.iter().zip(["blocks", "split"]) {
            let got = ask(store.context()).await;
            if got != wanted {
                return Some(format!("{times:?} ms: {name}: {got:?}\nmemory: {wanted:?}"));
            }
        }
        None
    }
}

/// The values of an answer at one time; of a scalar one without labels.
fn values(answer: &Answer, time_ms: i64) -> Vector {
    let set = |labels: &duramen_model::Labels| labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    match &answer.value {
        Value::Scalar { value, .. } => vec![(LabelSet::new(), *value)],
        Value::Vector(series) => {
            series.iter().filter_map(|series| Some((set(&series.labels), series.value.float()?))).collect()
        }
        Value::Matrix(series) => {
            let at = |points: &[(i64, f64)]| points.iter().find(|(ts, _)| *ts == time_ms).map(|(_, value)| *value);
            series.iter().filter_map(|series| Some((set(&series.labels), at(&series.points)?))).collect()
        }
        Value::String { .. } => Vec::new(),
    }
}

/// How an answer differs from the one that the reference has.
fn fault(got: &Result<Vector, Error>, wanted: &Result<reference::Value, Fault>) -> Option<String> {
    let mut wanted = match wanted {
        Ok(reference::Value::Scalar(value)) => vec![(LabelSet::new(), *value)],
        Ok(reference::Value::Vector(vector)) => vector.clone(),
        Err(Fault::Beyond(what)) => return Some(format!("the reference does not know {what}")),
        Err(Fault::Fails(wanted)) => {
            let fails = got.as_ref().is_err_and(|error| error.kind() == ErrorKind::Execution);
            return (!fails).then(|| format!("wanted to fail: {wanted}, got {got:?}"));
        }
    };
    let mut got = match got {
        Ok(got) => got.clone(),
        Err(error) => return Some(format!("got {error:?}, wanted {wanted:?}")),
    };
    for vector in [&mut got, &mut wanted] {
        vector.sort_by(|a, b| a.0.cmp(&b.0));
    }
    let same = got.len() == wanted.len() && got.iter().zip(&wanted).all(|(g, w)| g.0 == w.0 && near(g.1, w.1));
    (!same).then(|| format!("\ngot    {got:?}\nwanted {wanted:?}"))
}

/// Sums in another order differ in their last digits, and differences of large values in more.
fn near(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-7 * a.abs().max(b.abs()).max(1.0)
}

/// The smallest part of an expression that is wrong by itself.
async fn shrunk<'e>(asked: &Asked, expr: &'e Expr, times: (i64, i64, i64)) -> Option<(&'e Expr, String)> {
    let mut parts = Vec::new();
    expr.walk(&mut |part| parts.push(part));
    parts.sort_by_key(|part| part.to_string().len());
    for part in parts {
        if matches!(part.value_type(), ValueType::Scalar | ValueType::Vector)
            && let Some(fault) = wrong(asked, part, times).await
        {
            return Some((part, fault));
        }
    }
    None
}

async fn wrong(asked: &Asked, expr: &Expr, times: (i64, i64, i64)) -> Option<String> {
    match asked.instant(expr, times.0).await {
        Some(fault) => Some(fault),
        None => asked.range(expr, times).await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_expressions_are_answered_as_the_language_is_told() {
    let first = environment("DURAMEN_SEED", 1);
    let worlds = environment("DURAMEN_WORLDS", if std::env::var_os("DURAMEN_SEED").is_some() { 1 } else { WORLDS });
    let (mut asked_count, mut answered) = (0, 0);
    let mut wrongs = Vec::new();
    for seed in first..first + worlds {
        let mut random = StdRng::seed_from_u64(seed);
        let world = World::new(&mut random);
        let asked = Asked::new(&world).await.unwrap();
        for at in 0..EXPRESSIONS {
            let text = Writer { random: &mut random }.expression();
            let expr = duramen_syntax::parse(&text).unwrap_or_else(|error| panic!("seed {seed}: {text}: {error}"));
            let start_ms = random.random_range(0..World::END_MS);
            let step_ms = [1_000, 15_000, 60_000, 77_777][random.random_range(0..4)];
            let times = (start_ms, start_ms + step_ms * random.random_range(0..12), step_ms);
            asked_count += 1;
            let when = When { time_ms: start_ms, start_ms, end_ms: start_ms };
            answered += usize::from(matches!(asked.reference.evaluate(&expr, when),
                Ok(reference::Value::Vector(vector)) if !vector.is_empty()));
            if wrong(&asked, &expr, times).await.is_some()
                && let Some((part, fault)) = shrunk(&asked, &expr, times).await
            {
                wrongs.push(format!("seed {seed}: {text}\n  of it: {part}\n  {fault}"));
            } else if at % STORED_EVERY == 0
                && let Some(fault) = asked.stored(&expr, times).await
            {
                wrongs.push(format!("seed {seed}: {text}\n  {fault}"));
            }
        }
    }
    println!("{asked_count} expressions, {answered} with series at their first time");
    for wrong in wrongs.iter().take(20) {
        println!("{wrong:.4000}");
    }
    assert!(wrongs.is_empty(), "{} of {asked_count} are wrong", wrongs.len());
    assert!(answered * 2 > asked_count, "too few have an answer: {answered} of {asked_count}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sums_of_groups_add_up_to_the_sum() {
    let world = World::new(&mut StdRng::seed_from_u64(environment("DURAMEN_SEED", 7)));
    let asked = Asked::new(&world).await.unwrap();
    let mut compared = 0;
    for inner in ["requests_total", "rate(requests_total[2m])", "max_over_time(requests_total[90s])", "temperature"] {
        for (op, outer) in [("sum", "sum"), ("count", "sum"), ("max", "max"), ("min", "min"), ("group", "group")] {
            for by in ["by(job)", "by(instance)", "without(job)", "by(job, instance)", "by()"] {
                let [total, parts] = [format!("{op}({inner})"), format!("{outer}({op} {by} ({inner}))")];
                let [total, parts] = [total, parts].map(|text| duramen_syntax::parse(&text).unwrap());
                for time_ms in [60_000, 500_000, 1_000_000] {
                    let context = asked.memory.context();
                    let [total_value, parts_value] = [&total, &parts].map(|expr| (expr, &asked.engines[1]));
                    let total_value = total_value.1.instant(&context, total_value.0, time_ms).await.unwrap();
                    let parts_value = parts_value.1.instant(&context, parts_value.0, time_ms).await.unwrap();
                    let [a, b] = [&total_value, &parts_value].map(|answer| values(answer, time_ms));
                    let same = a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| near(a.1, b.1));
                    assert!(same, "{total} and {parts} at {time_ms}: {a:?} {b:?}");
                    compared += a.len();
                }
            }
        }
    }
    assert!(compared > 200, "{compared}");
}
