//! The engine and the parser, compared with those of Prometheus over random data and random
//! expressions.
//!
//! `DURAMEN_SEED` sets the first world, and `DURAMEN_WORLDS` their number. A difference is printed
//! with its seed, and that seed alone repeats it. `DURAMEN_TEST_GO_PROMQL` is the path of a Go that
//! has the modules of `tests/prometheus`.

mod compare;
mod mutations;
mod native;
mod prometheus;
mod world;
mod writer;

use std::sync::Arc;

use duramen_model::ErrorKind;
use duramen_promql::{Answer, Engine, EngineConfig, Error, Features, QueryTimes};
use duramen_promqltest::{Mode, Script, Store};
use duramen_runtime::SystemClock;
use duramen_syntax::Expr;
use duramen_syntax::ast::ValueType;

use compare::{Order, difference};
use prometheus::{Prometheus, When};
use world::World;
use writer::Writer;

/// The number of worlds of a short run.
const WORLDS: u64 = 4;

/// How many texts are parsed for each expression that is evaluated.
const TEXTS: u64 = 10;

/// The number of expressions in each world. `DURAMEN_QUERIES` in the environment overrides it.
const QUERIES: u64 = 100;

fn environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

const DATES: [&str; 8] = [
    "day_of_month(",
    "day_of_week(",
    "day_of_year(",
    "days_in_month(",
    "hour(",
    "minute(",
    "month(",
    "year(",
];

/// Prometheus and the engine, with the same data.
struct Pair {
    prometheus: Prometheus,
    store: Store,
}

/// A query for both.
#[derive(Clone, Debug)]
struct Question {
    text: String,
    when: When,
    features: Features,
}

impl Pair {
    async fn load(&mut self, world: &World) -> Result<(), String> {
        let script = world.script();
        self.store.clear();

        let ours = match Script::parse(&script) {
            Ok(script) => self
                .store
                .add(&script.loaded())
                .await
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };

        match (ours, self.prometheus.load(&script)) {
            (Ok(()), Ok(())) => Ok(()),
            (ours, theirs) => Err(format!("{ours:?} {theirs:?}")),
        }
    }

    async fn ours(&self, question: &Question) -> Result<Answer, Error> {
        let Question {
            text,
            when,
            features,
        } = question;

        let expr = duramen_syntax::parse(text).unwrap();
        let config = EngineConfig {
            features: *features,
            partitions: 3,
            ..EngineConfig::default()
        };

        let engine = Engine::new(config, Arc::new(SystemClock::default())).with_text(text);

        match when.step_ms {
            None => {
                engine
                    .instant(&self.store.context(), &expr, when.start_ms)
                    .await
            }
            Some(step_ms) => {
                engine
                    .range(
                        &self.store.context(),
                        &expr,
                        QueryTimes::range(when.start_ms, when.end_ms, step_ms).unwrap(),
                    )
                    .await
            }
        }
    }

    async fn difference(&mut self, question: &Question) -> Option<String> {
        let Question {
            text,
            when,
            features,
        } = question;

        let Ok(expr) = duramen_syntax::parse(text) else {
            // Another test checks what only one of them accepts.
            return None;
        };

        let ours = self.ours(question).await;
        if ours
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::TooMuch)
        {
            return None;
        }

        let theirs = self.prometheus.query(text, *when, *features);
        let difference = difference(&ours, &theirs, order(&expr));

        // TODO(68): dates of values that are not times.
        let date = DATES.iter().any(|function| text.contains(function));
        difference.filter(|text| !(date && text.contains("NaN")))
    }

    /// Returns the smallest part of the expression that makes a difference by itself, with as few
    /// series as possible.
    async fn shrink(&mut self, world: &World, question: &Question) -> (World, Question) {
        let mut smallest = question.clone();
        let mut parts = parts(&duramen_syntax::parse(&question.text).unwrap());
        parts.sort_by_key(String::len);

        for text in parts {
            let part = Question {
                text,
                ..question.clone()
            };

            if self.difference(&part).await.is_some() {
                smallest = part;
                break;
            }
        }

        let mut world = world.clone();
        for at in (0..world.series.len()).rev() {
            let less = world.without(at);
            if self.load(&less).await.is_ok() && self.difference(&smallest).await.is_some() {
                world = less;
            }
        }

        self.load(&world).await.unwrap();
        (world, smallest)
    }
}

/// Only these functions define the order of series. Those that sort by labels use more labels than
/// Prometheus if labels are absent.
fn order(expr: &Expr) -> Order {
    match expr {
        Expr::Call { func, .. } if ["sort", "sort_desc"].contains(&func.name) => Order::Same,
        Expr::Paren { expr, .. } => order(expr),
        _ => Order::Any,
    }
}

/// Returns the text of the expression and of all expressions below it.
fn parts(expr: &Expr) -> Vec<String> {
    let below = expr.children().flat_map(parts);
    below.chain([expr.to_string()]).collect()
}

fn question(writer: &mut Writer) -> Question {
    let kind = match writer.below(10) {
        0 => ValueType::Scalar,
        1 => ValueType::Matrix,
        _ => ValueType::Vector,
    };

    let start_ms = [
        0, 60_000, 60_000, 120_000, 150_000, 155_555, 200_000, 290_000, 400_000,
    ][writer.below(9)];
    let step_ms = [
        None,
        [7_000, 10_000, 10_000, 60_000]
            .get(writer.below(4))
            .copied(),
    ][writer.below(2)];

    let step_ms = step_ms.filter(|_| kind != ValueType::Matrix);
    let end_ms = start_ms + step_ms.unwrap_or(0) * [0, 1, 5, 7][writer.below(4)];

    let features = Features {
        delayed_name_removal: writer.maybe(60),
        start_timestamps: writer.maybe(60),
        type_and_unit_labels: writer.maybe(5),
    };

    Question {
        text: writer.expression(kind),
        when: When {
            start_ms,
            end_ms,
            step_ms,
        },
        features,
    }
}

/// Whether Prometheus' scripts require the behaviour before 3.16, which is also ours:
/// `docs/gaps.md`, 120.
fn is_held_by_scripts(question: &Question) -> bool {
    let text = &question.text;
    text.contains("group_right") && text.contains("fill")
        || question.features.start_timestamps
            && ["anchored", "smoothed"]
                .iter()
                .any(|ends| text.contains(ends))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_queries_are_answered_as_prometheus_answers_them() {
    let Some(prometheus) = Prometheus::start() else {
        return;
    };
    let mut pair = Pair {
        prometheus,
        store: Store::open(Mode::Memory).await.unwrap(),
    };

    let first = environment("DURAMEN_SEED", 1);
    let worlds = environment("DURAMEN_WORLDS", WORLDS);
    let queries = environment("DURAMEN_QUERIES", QUERIES);
    let mut asked = 0;
    let mut differences = 0;

    for seed in first..first + worlds {
        let mut world = World::new(seed);
        if let Err(error) = pair.load(&world).await {
            println!("seed {seed}: {error:.300}");
            world = world.plain();
            pair.load(&world)
                .await
                .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }

        let mut writer = Writer::new(seed);

        for _ in 0..queries {
            let question = question(&mut writer);
            if is_held_by_scripts(&question) {
                continue;
            }

            asked += 1;
            if pair.difference(&question).await.is_none() {
                continue;
            }

            differences += 1;

            let (least, smallest) = pair.shrink(&world, &question).await;
            let difference = pair.difference(&smallest).await.unwrap_or_default();

            println!(
                "--- seed {seed}\n{}{}\n{:?} {:?}\nof {}\n{difference:.3000}\n",
                least.script(),
                smallest.text,
                smallest.when,
                smallest.features,
                question.text
            );

            pair.load(&world).await.unwrap();
        }
    }

    assert_eq!(differences, 0, "of {asked}");
}

/// The differences in `docs/design/0002-promql-syntax.md`: an infinite base keeps its own sign, and
/// a misplaced colon is reported with its position.
fn differs_on_purpose(text: &str, theirs: &Result<[String; 2], String>) -> bool {
    match theirs {
        Ok(_) => text.contains('^') && text.to_ascii_lowercase().contains("inf"),
        Err(error) => error.contains("unexpected colon"),
    }
}

#[test]
fn random_texts_are_parsed_and_refused_as_prometheus_does() {
    let Some(mut prometheus) = Prometheus::start() else {
        return;
    };
    let first = environment("DURAMEN_SEED", 1);
    let worlds = environment("DURAMEN_WORLDS", WORLDS);
    let texts = TEXTS * environment("DURAMEN_QUERIES", QUERIES);
    let mut asked = 0;
    let mut parsed = 0;
    let mut differences = 0;

    for seed in first..first + worlds {
        let mut writer = Writer::new(seed);

        for _ in 0..texts {
            let text = mutations::text(&mut writer);
            let ours = duramen_syntax::parse(&text)
                .map(|expr| [expr.to_string(), duramen_syntax::prettify(&expr).unwrap()])
                .map_err(|error| error.to_string());
            let theirs = prometheus.parse(&text);

            (asked, parsed) = (asked + 1, parsed + usize::from(theirs.is_ok()));
            if ours != theirs && !differs_on_purpose(&text, &theirs) {
                differences += 1;
                println!("--- seed {seed}\n{text:?}\nwanted {theirs:?}\ngot    {ours:?}\n");
            }
        }
    }

    println!("{asked} texts, {parsed} parsed");
    assert_eq!(differences, 0, "of {asked}");
    assert!(
        asked < 4 * parsed && parsed < asked,
        "{parsed} of {asked} are expressions"
    );
}
