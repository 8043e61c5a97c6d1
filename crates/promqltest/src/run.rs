//! Runs a script.

use std::path::Path;
use std::sync::Arc;

use duramen_promql::{Engine, EngineConfig, Features, QueryTimes};
use duramen_runtime::SystemClock;

use crate::eval::Eval;
use crate::judge;
use crate::reruns::{How, Run, runs};
use crate::script::{Command, Script};
use crate::store::{Mode, Store};

/// The result of one script in one mode.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many evals gave the expected answer in every way that they were evaluated.
    pub passed: usize,
    /// The failures, in the order of the script.
    pub failures: Vec<Failure>,
}

/// An eval with an unexpected answer, or a load that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The number of the line, counted from 1.
    pub line: usize,
    /// The query and its times.
    pub asked: String,
    /// The expected and the actual answer, on several lines.
    pub difference: String,
}

/// Returns the features that upstream's runner switches on: types and units as labels only for
/// `type_and_unit.test`, the others for every script.
pub fn features_of(script: &Path) -> Features {
    let type_and_unit_labels = script
        .file_name()
        .is_some_and(|name| name == "type_and_unit.test");
    Features {
        start_timestamps: true,
        delayed_name_removal: true,
        type_and_unit_labels,
    }
}

/// Runs a script line by line, beginning with an empty store.
///
/// # Errors
/// If directories or the store fail. Unexpected answers are no errors; they are in the report.
pub async fn run(script: &Script, mode: Mode, features: Features) -> anyhow::Result<Report> {
    let config = EngineConfig {
        partitions: 3,
        features,
        ..EngineConfig::default()
    };

    let engine = Engine::new(config, Arc::new(SystemClock::default()));
    let mut store = Store::open(mode).await?;
    let mut report = Report::default();

    for command in &script.commands {
        match command {
            Command::Clear => store.clear(),
            Command::Load { line, series } => {
                if let Err(error) = store.add(series).await {
                    let failure = Failure {
                        line: *line,
                        asked: "load".to_owned(),
                        difference: format!("{error:#}"),
                    };

                    report.failures.push(failure);
                }
            }
            Command::Eval(eval) => match play(eval, &engine, &store).await {
                None => report.passed += 1,
                Some(failure) => report.failures.push(failure),
            },
        }
    }

    Ok(report)
}

/// Evaluates the query in each way and returns the first unexpected answer.
async fn play(eval: &Eval, engine: &Engine, store: &Store) -> Option<Failure> {
    let failure = |asked, difference| Failure {
        line: eval.line,
        asked,
        difference,
    };

    let runs = match runs(eval) {
        Ok(runs) => runs,
        Err(reason) => return Some(failure(eval.query.clone(), reason)),
    };

    for run in runs {
        let answer = ask(&run, engine, store).await;
        if let Some(fault) = judge::fault(eval, run.how, &answer) {
            return Some(failure(described(&run), fault));
        }
    }

    None
}

async fn ask(
    run: &Run,
    engine: &Engine,
    store: &Store,
) -> Result<duramen_promql::Answer, duramen_promql::Error> {
    let engine = engine.with_text(&run.text);
    let context = store.context();

    let steps = match run.how {
        How::Instant(time_ms) => return engine.instant(&context, &run.expr, time_ms).await,
        How::Range(steps) => steps,
        How::Middle(time_ms) => How::around(time_ms),
    };

    engine
        .range(
            &context,
            &run.expr,
            QueryTimes::range(steps.start_ms, steps.end_ms, steps.step_ms)?,
        )
        .await
}

fn described(run: &Run) -> String {
    let text = &run.text;

    match run.how {
        How::Instant(time_ms) => format!("{text} at {time_ms} ms"),
        How::Middle(time_ms) => format!("{text} at {time_ms} ms as the middle of a range"),
        How::Range(steps) => {
            format!(
                "{text} from {} to {} ms, step {} ms",
                steps.start_ms, steps.end_ms, steps.step_ms
            )
        }
    }
}
