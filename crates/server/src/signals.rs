//! Signals that end the process: after the first, requests in work may end; the second ends it at
//! once.
//!
//! A thread of its own takes the signals. It ends the process in time even if all other threads
//! compute or block.

use std::io;
use std::thread;
use std::time::Duration;

use duramen_runtime::{Clock, SystemClock};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The time beyond the requests' own time after which the process has ended, unless its threads are
/// stuck.
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

    // Acknowledged samples are in the log.
    std::process::exit(1);
}
