//! How signals end the process: the first lets the requests in work end, the second ends at once.
//!
//! Signals are taken on a thread of their own. Where all others compute or block, this one still
//! ends the process in time.

use std::io;
use std::thread;
use std::time::Duration;

use duramen_runtime::{Clock, SystemClock};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Beyond the time that requests may take: until here the process has ended by itself, unless its
/// threads are stuck.
const STUCK_AFTER: Duration = Duration::from_secs(3);

/// Cancels `shutdown` on the first SIGTERM or SIGINT. Ends the process on the second, or when it
/// has not ended [`STUCK_AFTER`] after `wait_max`.
pub(crate) fn watch(shutdown: CancellationToken, wait_max: Duration) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let inside = runtime.enter();
    let signals = Signals {
        term: signal(SignalKind::terminate())?,
        int: signal(SignalKind::interrupt())?,
    };

    drop(inside);
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || wait(&runtime, signals, &shutdown, wait_max))?;
    Ok(())
}

struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! { _ = self.term.recv() => {}, _ = self.int.recv() => {} }
    }
}

fn wait(runtime: &Runtime, mut signals: Signals, shutdown: &CancellationToken, wait_max: Duration) {
    runtime.block_on(async {
        signals.next().await;
        info!("stopping: no new requests, those in work are finished; a second signal ends at once");
        shutdown.cancel();

        let clock = SystemClock::default();
        tokio::select! {
            biased;
            () = signals.next() => warn!("a second signal: the process ends at once"),
            () = clock.sleep(wait_max.saturating_add(STUCK_AFTER)) => {
                warn!(?wait_max, "the process did not end in time, as its threads are busy: it ends at once");
            }
        }
    });

    // What was acknowledged is in the log.
    std::process::exit(1);
}
