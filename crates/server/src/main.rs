//! The binary `duramen`.

use std::process::ExitCode;

use clap::Parser;
use duramen_server::Config;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let config = Config::parse();
    duramen_server::logging::init(&config.log_level);
    match duramen_server::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "duramen stops");
            ExitCode::FAILURE
        }
    }
}
