//! The binary `duramen`.

use std::process::ExitCode;

use duramen_server::{Asked, Settings};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let loaded = Settings::load(std::env::args_os());
    duramen_server::logging::init(loaded.as_ref().map_or("info", |(settings, _)| &settings.config.log_level));
    let done = loaded.and_then(|(settings, asked)| match asked {
        Asked::Run => duramen_server::run(settings),
        Asked::Print => {
            duramen_server::print_config(&settings);
            Ok(())
        }
        Asked::Explain(asked) => duramen_server::explain(&asked),
        Asked::Check => duramen_server::check_config(&settings),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "duramen stops");
            ExitCode::FAILURE
        }
    }
}
