//! What the command line asks for, and how it is done.
//!
//! [`Settings::load`] reads the command line into a [`Command`]. Serving is what the roles do;
//! [`explain`] is a client of a process that serves, and the others only read the settings.

mod explain;

use std::process::ExitCode;

pub use explain::Explain;

use crate::config::settings::Settings;
use crate::serve;

/// What the command line asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Serve until a signal ends the process.
    Serve(Role, Box<Settings>),
    /// Print the settings, with where each is from.
    PrintConfig(Box<Settings>),
    /// Read what a start would read beside the settings, and change nothing.
    CheckConfig(Box<Settings>),
    /// Ask a process that serves.
    Client(Client),
}

/// What a process that serves does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything: it takes writes and answers queries.
    All,
}

/// What is asked of a process that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Client {
    Explain(Box<Explain>),
}

impl Command {
    /// What the log of this process tells.
    pub fn log_level(&self) -> &str {
        match self {
            Self::Serve(_, settings)
            | Self::PrintConfig(settings)
            | Self::CheckConfig(settings) => &settings.config.log_level,
            Self::Client(_) => "info",
        }
    }

    /// Does what is asked for, to its end.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Serve(Role::All, settings) => serve::run(*settings)?,
            Self::PrintConfig(settings) => print_config(&settings),
            Self::CheckConfig(settings) => check_config(&settings)?,
            Self::Client(Client::Explain(command)) => return Ok(explain::explain(&command)),
        }

        Ok(ExitCode::SUCCESS)
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
