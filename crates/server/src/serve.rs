//! The whole system in one process, from its start to its end.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Context;
use duramen_api::http::{self, Serving, Starting};
use duramen_runtime::disk::descriptors;
use duramen_runtime::priority::step_ahead;
use duramen_runtime::{Clock, OnFailure, Tasks};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::HttpConfig;
use crate::config::settings::Settings;
use crate::roles::{Basics, System};
use crate::{signals, welcome};

/// Runs the whole system in this process until a signal or a fatal failure ends it.
pub fn run(settings: Settings) -> anyhow::Result<()> {
    match descriptors::raise() {
        Ok(limit) => info!(limit, "file descriptors that the process may have"),
        Err(error) => warn!(%error, "the limit of file descriptors could not be raised"),
    }

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("duramen")
        .on_thread_start(step_ahead)
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

/// Answers from the first moment on, starts the system and leaves it in `started`, until the
/// process is to end.
async fn serve(settings: Settings, started: &mut Option<System>) -> anyhow::Result<()> {
    for text in settings.unfit() {
        warn!("{text}");
    }

    let variables = std::env::vars_os().map(|(name, _)| name);
    for name in Settings::unknown_variables(variables) {
        warn!("{name} is set in the environment, and there is no such setting: is it misspelt?");
    }

    let tasks = Tasks::default();
    let basics = Basics::new(&settings.config);
    let shutdown = tasks.shutdown();

    // The ports are bound first, so that a taken port is noticed before the replay, and requests
    // are told how far the start is.
    let listeners = Listeners::bind(&settings.config.http).await?;
    let address = listeners.public.local_addr()?;
    let starting = Arc::new(Edges::new(&basics));
    let serving = basics.serving(&settings.config);

    info!(
        version = env!("CARGO_PKG_VERSION"),
        %address,
        settings = settings.changed(),
        "duramen starts"
    );

    let answering = {
        let starting = Arc::clone(&starting);
        let clock = Arc::clone(&basics.clock);
        let shutdown = shutdown.clone();
        let connections = tasks.clone();

        tasks.spawn("listeners", OnFailure::Fatal, async move {
            answer(
                listeners,
                &starting,
                serving,
                &connections,
                &clock,
                &shutdown,
            )
            .await;
            Ok::<_, Infallible>(())
        })
    };

    let system = started.insert(System::start(settings, &basics, &tasks).await?);
    starting.open(system);

    // Signals are watched before the process is announced, because a client may ask for its end at
    // once.
    signals::watch(shutdown.clone(), system.config.http.stop_wait_max)?;
    welcome::say(system, address);

    if let Some(interval) = system.config.self_scrape() {
        system.self_scrape().start(address, interval, &tasks);
    }

    let failed = tasks.failed();
    let stopped = async {
        shutdown.cancelled().await;
        basics.clock.monotonic()
    };

    tokio::select! {
        (stopped, _) = async { tokio::join!(stopped, answering) } => {
            if !tasks.failed().is_cancelled() {
                system.flush(stopped).await;
            }
        }
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

/// The edges of the listeners, which are there before the system is.
struct Edges {
    public: Arc<Starting>,
    operator: Arc<Starting>,
}

impl Edges {
    fn new(basics: &Basics) -> Self {
        let starting = || Starting::new(basics.ingest_metrics.replay().clone());
        Self {
            public: starting(),
            operator: starting(),
        }
    }

    /// Lets requests reach the system.
    fn open(&self, system: &System) {
        self.operator
            .open(http::operator_router(system.router.clone()));
        self.public.open(system.router.clone());
    }
}

/// Answers requests at all listeners until `shutdown`.
async fn answer(
    listeners: Listeners,
    edges: &Edges,
    serving: Serving,
    tasks: &Tasks,
    clock: &Arc<dyn Clock>,
    shutdown: &CancellationToken,
) {
    let serve = |listener, edge: &Arc<Starting>| {
        http::serve(
            listener,
            edge.router(),
            serving.clone(),
            tasks,
            clock,
            shutdown,
        )
    };

    let public = serve(listeners.public, &edges.public);

    let operator = async {
        if let Some(listener) = listeners.operator {
            serve(listener, &edges.operator).await;
        }
    };

    tokio::join!(public, operator);
}
