//! The commands of the command line.
//!
//! [`Settings::load`] reads the command line into a [`Command`]. Serving starts the roles;
//! [`explain`], [`delete`], [`snapshots`] and [`tenants`] are clients of a running process; [`blocks`] works
//! offline; [`compact`] and [`bucket`] work on a store, beside a server or without one; the other
//! commands only read the settings.

mod answer;
mod blocks;
mod bucket;
mod client;
mod compact;
mod delete;
mod explain;
mod format;
mod snapshots;
mod tenants;
mod time;

use std::future::Future;
use std::process::ExitCode;

use answer::Answer;
use anyhow::Context;
pub use blocks::Blocks;
pub use bucket::Bucket;
pub use compact::Compact;
pub use delete::Delete;
pub use explain::Explain;
pub use snapshots::Snapshots;
pub use tenants::Tenants;
use tokio::runtime::Builder;

use crate::config::LogFormat;
use crate::config::settings::Settings;
use crate::serve;

/// A command of the command line.
#[derive(Clone, Debug)]
pub enum Command {
    /// Serve until a signal ends the process.
    Serve(Role, Box<Settings>),
    /// Print the settings with their origins.
    PrintConfig(Box<Settings>),
    /// Check the settings and the limits file, and change nothing.
    CheckConfig(Box<Settings>),
    /// Ask a running process.
    Client(Client),
    /// Look at blocks, merge them or write them again, offline.
    Blocks(Box<Blocks>),
    /// Merge the blocks of a store.
    Compact(Box<Compact>),
    /// Care for a store as a whole.
    Bucket(Box<Bucket>),
}

/// The role of a process that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// All roles: it takes writes and answers queries.
    All,
}

/// A request to a running process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Client {
    Explain(Box<Explain>),
    Delete(Box<Delete>),
    Snapshots(Box<Snapshots>),
    Tenants(Box<Tenants>),
}

impl Command {
    /// Returns the level or filter of the process's log.
    pub fn log_level(&self) -> &str {
        match self {
            Self::Serve(_, settings)
            | Self::PrintConfig(settings)
            | Self::CheckConfig(settings) => &settings.config.log_level,
            Self::Client(_) | Self::Blocks(_) => "info",
            Self::Compact(command) if !command.is_once() => "info",
            Self::Compact(_) | Self::Bucket(_) => "warn",
        }
    }

    /// Returns the form of the process's log.
    pub fn log_format(&self) -> LogFormat {
        match self {
            Self::Serve(_, settings) => settings.config.log_format,
            _ => LogFormat::Text,
        }
    }

    /// Runs the command to its end.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Serve(Role::All, settings) => serve::run(*settings)?,
            Self::PrintConfig(settings) => print_config(&settings),
            Self::CheckConfig(settings) => check_config(&settings)?,
            Self::Client(Client::Explain(command)) => {
                let runtime = Builder::new_current_thread();
                let answer = async { explain::ask(&command).await.map(Answer::good) };
                return Ok(print_answer(runtime, answer));
            }
            Self::Client(Client::Delete(command)) => {
                let runtime = Builder::new_current_thread();
                let answer = async { command.run().await.map(Answer::good) };
                return Ok(print_answer(runtime, answer));
            }
            Self::Client(Client::Snapshots(command)) => {
                let runtime = Builder::new_current_thread();
                let answer = async { command.run().await.map(Answer::good) };
                return Ok(print_answer(runtime, answer));
            }
            Self::Client(Client::Tenants(command)) => {
                let runtime = Builder::new_current_thread();
                let answer = async { command.run().await.map(Answer::good) };
                return Ok(print_answer(runtime, answer));
            }
            Self::Blocks(command) => {
                let runtime = Builder::new_multi_thread();
                return Ok(print_answer(runtime, blocks::run(&command)));
            }
            Self::Compact(command) => {
                let runtime = Builder::new_multi_thread();
                return Ok(print_answer(runtime, command.run()));
            }
            Self::Bucket(command) => {
                let runtime = Builder::new_multi_thread();
                return Ok(print_answer(runtime, command.run()));
            }
        }

        Ok(ExitCode::SUCCESS)
    }
}

/// Runs `command` to its end, and prints its answer, or why it failed.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is asked for on the command line"
)]
fn print_answer(
    mut runtime: Builder,
    command: impl Future<Output = anyhow::Result<Answer>>,
) -> ExitCode {
    let runtime = runtime.enable_all().build().context("start");

    match runtime.and_then(|runtime| runtime.block_on(command)) {
        Ok(Answer { text, code }) => {
            if !text.is_empty() {
                println!("{}", text.trim_end());
            }

            ExitCode::from(code)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print_config(settings: &Settings) {
    #[expect(clippy::print_stdout, reason = "it is asked for on the command line")]
    {
        print!("{}", settings.yaml());
    }
}

fn check_config(settings: &Settings) -> anyhow::Result<()> {
    let config = &settings.config;
    duramen_limits::check(config.limits_file.as_deref(), &config.limits())?;
    anyhow::ensure!(
        settings.unfit().is_empty(),
        "{}",
        settings.unfit().join("; ")
    );

    #[expect(clippy::print_stdout, reason = "it is asked for on the command line")]
    {
        println!("the settings are good");
    }
    Ok(())
}
