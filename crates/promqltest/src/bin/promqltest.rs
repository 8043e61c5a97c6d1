//! Runs PromQL test scripts.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use duramen_promql::Features;
use duramen_promqltest::{Mode, Report, Script, features_of, run};

/// Runs scripts of Prometheus's promqltest language against the engine.
///
/// For each failure it prints what was expected and what came instead. For each script it prints
/// how many evals passed and failed; the last line has the totals. The exit status is 0 if all
/// passed, 1 if any failed, 2 if the command line or a script cannot be read.
#[derive(Debug, Parser)]
#[command(name = "promqltest")]
struct Flags {
    /// Scripts, and folders whose `*.test` files are scripts.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Where the samples are: memory, blocks, split (every other sample in a block, the rest in the
    /// head). May be repeated. Without it, each script runs in all modes.
    #[arg(long = "mode", value_name = "MODE")]
    modes: Vec<Mode>,
    /// Switches a feature on for all scripts. May be repeated. Without it, the features of
    /// upstream's runner are on: all, but type-and-unit-labels only for a script named
    /// type_and_unit.test.
    #[arg(long = "enable-feature", value_name = "FEATURE")]
    enabled: Vec<Feature>,
    /// Switches a feature off for all scripts. May be repeated.
    #[arg(long = "disable-feature", value_name = "FEATURE")]
    disabled: Vec<Feature>,
}

/// A feature, by its name in Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Feature {
    UseStartTimestamps,
    PromqlDelayedNameRemoval,
    TypeAndUnitLabels,
}

impl Flags {
    fn features(&self, script: &Path) -> Features {
        let is_on = |feature, usual| {
            (usual || self.enabled.contains(&feature)) && !self.disabled.contains(&feature)
        };
        let usual = features_of(script);

        Features {
            start_timestamps: is_on(Feature::UseStartTimestamps, usual.start_timestamps),
            delayed_name_removal: is_on(
                Feature::PromqlDelayedNameRemoval,
                usual.delayed_name_removal,
            ),
            type_and_unit_labels: is_on(Feature::TypeAndUnitLabels, usual.type_and_unit_labels),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();

    match play(&flags).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs everything and returns how many evals failed. It reads all scripts before it runs the
/// first.
async fn play(flags: &Flags) -> anyhow::Result<usize> {
    let modes = if flags.modes.is_empty() {
        &Mode::ALL[..]
    } else {
        &flags.modes
    };

    let mut scripts = Vec::new();
    for path in scripts_of(&flags.paths)? {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let script = Script::parse(&text).map_err(|error| {
            anyhow::anyhow!("{}:{}: {}", path.display(), error.line, error.reason)
        })?;
        scripts.push((path, script));
    }

    let mut passed = 0;
    let mut failed = 0;

    for (path, script) in &scripts {
        for &mode in modes {
            let report = run(script, mode, flags.features(path))
                .await
                .with_context(|| path.display().to_string())?;
            print(path, mode, &report);
            passed += report.passed;
            failed += report.failures.len();
        }
    }

    println!("{passed} passed, {failed} failed");
    Ok(failed)
}

fn print(path: &Path, mode: Mode, report: &Report) {
    for failure in &report.failures {
        println!(
            "{}:{} ({mode}): {}",
            path.display(),
            failure.line,
            failure.asked
        );

        failure
            .difference
            .lines()
            .for_each(|line| println!("    {line}"));
    }

    println!(
        "{} ({mode}): {} passed, {} failed",
        path.display(),
        report.passed,
        report.failures.len()
    );
}

/// Returns the given files, and the scripts of the given folders in the order of their names.
fn scripts_of(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut scripts = Vec::new();

    for path in paths {
        if !path.is_dir() {
            scripts.push(path.clone());
            continue;
        }

        let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
        let found: Vec<PathBuf> = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<_>>()?;
        let mut found: Vec<PathBuf> = found
            .into_iter()
            .filter(|path| path.extension().is_some_and(|ending| ending == "test"))
            .collect();

        anyhow::ensure!(
            !found.is_empty(),
            "no scripts there. folder=`{}`",
            path.display()
        );

        found.sort();
        scripts.append(&mut found);
    }

    Ok(scripts)
}
