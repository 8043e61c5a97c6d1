//! Where log lines go.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Sends log lines to stderr. `level` is a level or a filter such as `info,duramen_ingest=debug`.
pub fn init(level: &str) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
