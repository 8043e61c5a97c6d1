//! The whole system in one process, from its start to its end.

use anyhow::Context;
use duramen_api::http;
use duramen_runtime::Tasks;
use duramen_runtime::disk::descriptors;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::HttpConfig;
use crate::config::settings::Settings;
use crate::roles::System;
use crate::{signals, welcome};

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

    let mut system = None;
    let ended = runtime.block_on(serve(settings, &mut system));

    // Tasks that still run are not waited for: acknowledged samples are in the log.
    runtime.shutdown_background();

    // The system has the lock of the data directory. No other process may have it while a task of
    // this one may still answer.
    drop(system);
    ended
}

/// Starts the system, leaves it in `started`, and answers until the process is to end.
async fn serve(settings: Settings, started: &mut Option<System>) -> anyhow::Result<()> {
    for text in settings.unfit() {
        warn!("{text}");
    }

    let tasks = Tasks::default();

    // The ports are bound first, so that a taken port is noticed before the replay. No request is
    // answered until the replay is done.
    let listeners = Listeners::bind(&settings.config.http).await?;
    let address = listeners.public.local_addr()?;

    let system = started.insert(System::start(settings, &tasks).await?);

    // Signals are watched before the process is announced, because a client may ask for its end at
    // once.
    let shutdown = tasks.shutdown();
    signals::watch(shutdown.clone(), system.config.http.stop_wait_max)?;
    welcome::say(system, address);

    if let Some(interval) = system.config.self_scrape() {
        system.self_scrape().start(address, interval, &tasks);
    }

    let failed = tasks.failed();
    tokio::select! {
        () = answer(listeners, system, &tasks, &shutdown) => {}
        // Requests that wait for the failed task would hold up a graceful end for ever.
        () = failed.cancelled() => shutdown.cancel(),
    }

    system.note_end();
    if !tasks.failed().is_cancelled() {
        system.release().await;
    }

    match tasks.failure() {
        None => Ok(()),
        // This error is the last line of the log, which people look for.
        Some(why) => Err(anyhow::anyhow!(
            "a task that the process cannot do without failed: {why}"
        )),
    }
}

/// The bound listeners of a process.
struct Listeners {
    public: TcpListener,
    operator: Option<TcpListener>,
}

impl Listeners {
    async fn bind(config: &HttpConfig) -> anyhow::Result<Self> {
        let address = config.listen;
        let public = TcpListener::bind(address)
            .await
            .with_context(|| format!("listen on {address}"))?;

        let operator = match config.operator_listen {
            Some(address) => Some(
                TcpListener::bind(address)
                    .await
                    .with_context(|| format!("listen on {address} for the operator"))?,
            ),
            None => None,
        };

        Ok(Self { public, operator })
    }
}

/// Answers requests at all listeners until `shutdown`.
async fn answer(
    listeners: Listeners,
    system: &System,
    tasks: &Tasks,
    shutdown: &CancellationToken,
) {
    let serve = |listener, router| {
        let serving = system.serving.clone();
        http::serve(
            listener,
            router,
            serving,
            tasks,
            &system.shared.clock,
            shutdown,
        )
    };

    let public = serve(listeners.public, system.router.clone());

    let operator = async {
        if let Some(listener) = listeners.operator {
            serve(listener, http::operator_router(system.router.clone())).await;
        }
    };

    tokio::join!(public, operator);
}
