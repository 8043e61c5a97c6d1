//! The process: command line, wiring of the roles, HTTP edge.

pub mod config;
mod explain;
pub mod logging;
mod memory;
mod self_scrape;
mod signals;
mod welcome;
pub mod wiring;

use std::sync::Arc;

use anyhow::Context;
pub use config::{Asked, Config, Settings};
use duramen_api::http;
use duramen_runtime::Tasks;
use duramen_runtime::disk::descriptors;
pub use explain::{Explain, explain};
use tokio::net::TcpListener;
use tracing::{info, warn};
pub use wiring::System;

/// Runs the whole system in this process until a signal or a fatal failure ends it.
pub fn run(settings: Settings) -> anyhow::Result<()> {
    match descriptors::raise() {
        Ok(limit) => info!(limit, "file descriptors that the process may have"),
        Err(error) => warn!(%error, "the limit of file descriptors could not be raised"),
    }

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("duramen")
        .enable_all()
        .build()?;

    let ended = runtime.block_on(serve(settings));

    // Whatever still computes or blocks holds nothing up: what was acknowledged is in the log.
    runtime.shutdown_background();
    ended
}

/// Prints the settings, with where each is from.
pub fn print_config(settings: &Settings) {
    #[expect(clippy::print_stdout, reason = "it is asked for on the command line")]
    {
        print!("{}", settings.yaml());
    }
}

/// Reads what a start would read beside the settings, and changes nothing.
pub fn check_config(settings: &Settings) -> anyhow::Result<()> {
    let config = &settings.config;
    duramen_limits::check(config.limits_file.as_deref(), &config.limits())
        .map_err(anyhow::Error::from)?;
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

async fn serve(settings: Settings) -> anyhow::Result<()> {
    for told in settings.unfit() {
        warn!("{told}");
    }

    let tasks = Tasks::default();
    let address = settings.config.http.listen;

    // Bound first, so that a taken port costs no replay; nobody is answered before the replay is
    // through.
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listen on {address}"))?;
    let address = listener.local_addr()?;

    let operator_listener = match settings.config.http.operator_listen {
        Some(address) => Some(
            TcpListener::bind(address)
                .await
                .with_context(|| format!("listen on {address} for the operator"))?,
        ),
        None => None,
    };

    let system = Arc::new(System::start(settings, &tasks).await?);

    // Before anybody learns that the process is there: whoever does may ask for its end.
    let shutdown = tasks.shutdown();
    signals::watch(shutdown.clone(), system.config.http.stop_wait_max)?;
    welcome::say(&system, address);

    if let Some(interval) = system.config.self_scrape() {
        self_scrape::start(Arc::clone(&system), address, interval, &tasks);
    }

    let router = system.router.clone();
    let failed = tasks.failed();

    let serving = system.serving();

    let operated = async {
        let Some(listener) = operator_listener else {
            return;
        };
        let router = http::operator_router(router.clone());

        http::serve(
            listener,
            router,
            serving.clone(),
            &tasks,
            &system.clock,
            &shutdown,
        )
        .await;
    };

    let served = http::serve(
        listener,
        router.clone(),
        serving.clone(),
        &tasks,
        &system.clock,
        &shutdown,
    );

    let served = async {
        tokio::join!(served, operated);
    };
    tokio::select! {
        () = served => {}
        // Requests that wait for the failed part would hold up a graceful end for ever.
        () = failed.cancelled() => shutdown.cancel(),
    }

    system.note_end();
    if !tasks.failed().is_cancelled() {
        system.release().await;
    }

    match tasks.failure() {
        None => Ok(()),
        // The last line of the log says it, in the words that people look for.
        Some(why) => Err(anyhow::anyhow!(
            "a task that the process cannot do without failed: {why}"
        )),
    }
}
