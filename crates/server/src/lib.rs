//! The process `duramen`.
//!
//! A command line comes in. [`config`] settles defaults, file, variables and flags into
//! [`Settings`], and [`cli`] is the [`Command`] that they are for. `serve` runs the system: `roles`
//! opens the store and starts the roles, and the crate `api` serves their routes. `self_scrape`
//! writes the metrics of the process, and `memory` adds its account to them. [`logging`] and
//! `signals` connect the process to the system, and `welcome` greets the person who started it.
//! What goes out is an exit code.

pub mod cli;
pub mod config;
pub mod logging;
mod memory;
mod roles;
mod self_scrape;
mod serve;
mod signals;
mod welcome;

pub use cli::Command;
pub use config::Config;
pub use config::settings::Settings;
pub use serve::run;
