//! Load generator and measuring instrument for remote-write receivers and the Prometheus HTTP API.

mod answer;
mod bits;
mod codec;
mod column;
mod command;
mod decimal;
mod decode;
mod diff;
mod duration;
mod export;
mod floor;
mod r#gen;
mod gorilla;
mod header;
mod http;
mod identity;
mod lanes;
mod latency;
mod process;
mod query;
mod query_file;
mod replay;
mod rw;
mod sink;
mod wire;
mod write;

use std::process::ExitCode;

use clap::Parser;

use command::Command;

#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    match Arguments::parse().command.run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("promload: {error:#}");
            ExitCode::FAILURE
        }
    }
}
