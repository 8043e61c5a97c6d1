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
/// Each failure is printed with what was expected and what came; each script with how many evals
/// passed and failed, and the last line has those of all. The status is 0 when all passed, 1 when
/// any failed, 2 when the command line or a script cannot be read.
#[derive(Debug, Parser)]
#[command(name = "promqltest")]
struct Flags {
    /// Scripts, and folders whose `*.test` files are scripts.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Where the samples lie: memory, blocks, split (every other one in a block, the rest in the
    /// head). May be repeated; all without.
    #[arg(long = "mode", value_name = "MODE")]
    modes: Vec<Mode>,
    /// Switches a feature on for all scripts. Without it those are on that upstream's runner has
    /// on: all, but type-and-unit-labels only for a script of the name type_and_unit.test. May be
    /// repeated.
    #[arg(long = "enable-feature", value_name = "FEATURE")]
    enabled: Vec<Feature>,
    /// Switches a feature off for all scripts. May be repeated.
    #[arg(long = "disable-feature", value_name = "FEATURE")]
    disabled: Vec<Feature>,
}

/// A feature by the name that Prometheus has for it.
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

/// Runs everything and returns how many evals failed. Nothing runs before every script is read.
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

/// The files themselves, and those of folders in the order of their names.
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
