//! The binary `duramen`.

use std::process::ExitCode;

use duramen_server::{Asked, Settings};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let loaded = Settings::load(std::env::args_os());
    duramen_server::logging::init(loaded.as_ref().map_or("info", |(settings, _)| &settings.config.log_level));
    let ended = loaded.and_then(|(settings, asked)| {
        match asked {
            Asked::Run => duramen_server::run(settings)?,
            Asked::Print => duramen_server::print_config(&settings),
            Asked::Explain(asked) => return Ok(duramen_server::explain(&asked)),
            Asked::Check => duramen_server::check_config(&settings)?,
        }
        Ok(ExitCode::SUCCESS)
    });
    ended.unwrap_or_else(|error| {
        tracing::error!(error = format!("{error:#}"), "duramen stops");
        ExitCode::FAILURE
    })
}
