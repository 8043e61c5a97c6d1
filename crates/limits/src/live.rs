//! The limits file while the process runs. It is read at the start, and again when it changes or
//! when someone asks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use duramen_metrics::{FloatGauge, Gauge, Registry};
use duramen_runtime::{Clock, OnFailure, Tasks};
use duramen_settings::{Faults, FileError, text_of};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;
use tokio::task::JoinError;
use tracing::{info, warn};

use crate::{Effective, Limits, LimitsFile, LimitsHandle};
use duramen_model::TenantName;

/// How often the file is read to find changes. It costs a read of some kilobytes from the page
/// cache.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// Why the limits file was not put in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    #[error("the limits file cannot be read")]
    Unreadable(#[from] FileError),
    #[error("the limits file {}: {faults}", path.display())]
    Faulty { path: PathBuf, faults: Faults },
}

/// Checks whether a process would start with this limits file.
pub fn check(file: Option<&Path>, built_in: &Limits) -> Result<(), LiveError> {
    let Some(path) = file else {
        return Ok(());
    };

    parse(&text_of(path)?, path, built_in)?;
    Ok(())
}

fn parse(text: &str, path: &Path, built_in: &Limits) -> Result<LimitsFile, LiveError> {
    LimitsFile::parse(text, built_in).map_err(|faults| LiveError::Faulty {
        path: path.to_owned(),
        faults,
    })
}

/// The limits in force, and the file that they come from.
#[derive(Debug)]
pub struct LiveLimits {
    handle: LimitsHandle,
    /// The limits without a file.
    built_in: Limits,
    file: Option<PathBuf>,
    /// The text that was read last, good or faulty, so that the same text is not reported every few
    /// seconds. It is locked during a reload.
    seen: Mutex<String>,
    clock: Arc<dyn Clock>,
    successful: Gauge,
    success_seconds: FloatGauge,
}

impl LiveLimits {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// When the file cannot be read or has a fault. A process must not start with limits that
    /// nobody intended.
    pub fn open(
        file: Option<PathBuf>,
        built_in: Limits,
        clock: Arc<dyn Clock>,
        registry: &mut Registry,
    ) -> Result<Self, LiveError> {
        let successful = Gauge::default();
        let success_seconds = FloatGauge::default();
        let help = "Whether the limits file was good when it was last read";

        registry.register(
            "duramen_limits_last_reload_successful",
            help,
            successful.clone(),
        );

        let help = "When the limits file was last read and good, in seconds since 1970";
        registry.register(
            "duramen_limits_last_reload_success_timestamp_seconds",
            help,
            success_seconds.clone(),
        );

        let limits = Self {
            handle: LimitsHandle::default(),
            built_in,
            file,
            seen: Mutex::default(),
            clock,
            successful,
            success_seconds,
        };

        let read = limits.file.as_deref().map(text_of).transpose();
        let text = read?.unwrap_or_default();
        limits.adopt(&text)?;
        *limits.seen.try_lock().expect("nobody else has it yet") = text;

        Ok(limits)
    }

    /// The limits of all tenants.
    pub fn handle(&self) -> &LimitsHandle {
        &self.handle
    }

    /// The limits of a tenant, and the part of the file that sets each of them.
    pub fn effective(&self, tenant: &TenantName) -> Effective {
        self.handle.effective(tenant, &self.built_in)
    }

    /// Reads the file and puts it in force.
    ///
    /// # Errors
    /// The same as of [`LiveLimits::open`]. The previous limits stay in force.
    pub async fn reload(&self) -> Result<(), LiveError> {
        let mut seen = self.seen.lock().await;
        let read = self.text().await.and_then(|text| {
            seen.clone_from(&text);
            self.adopt(&text)
        });

        self.report(read)
    }

    /// Like [`LiveLimits::reload`], but only if the text has changed.
    async fn reload_if_changed(&self) -> Result<(), LiveError> {
        let mut seen = self.seen.lock().await;
        let read = self.text().await.and_then(|text| {
            if *seen == text {
                return Ok(());
            }

            seen.clone_from(&text);
            self.adopt(&text)
        });

        self.report(read)
    }

    async fn text(&self) -> Result<String, LiveError> {
        let Some(path) = self.file.clone() else {
            return Ok(String::new());
        };

        let read = tokio::task::spawn_blocking({
            let path = path.clone();
            move || text_of(&path)
        });

        let ended = |error: JoinError| FileError::Read {
            path,
            source: std::io::Error::other(error),
        };

        Ok(read.await.map_err(ended)??)
    }

    fn adopt(&self, text: &str) -> Result<(), LiveError> {
        let path = self.file.as_deref().unwrap_or_else(|| Path::new(""));
        let file = parse(text, path, &self.built_in)?;
        let tenants = file.tenants.len();

        self.handle.adopt(file);
        self.successful.set(1);
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds of this age are exact"
        )]
        self.success_seconds
            .set(self.clock.now_ms() as f64 / 1000.0);

        if self.file.is_some() {
            info!(path = %path.display(), tenants, "the limits file is in force");
        }

        Ok(())
    }

    fn report(&self, read: Result<(), LiveError>) -> Result<(), LiveError> {
        if let Err(error) = &read
            && self.successful.set(0) != 0
        {
            warn!(
                error = text(error),
                "the limits file has a fault; the limits that were in force stay so"
            );
        }

        read
    }

    /// Starts a task that reloads the file on SIGHUP, and every few seconds if it has changed,
    /// until the process shuts down.
    pub fn watch(self: &Arc<Self>, tasks: &Tasks) -> std::io::Result<()> {
        let limits = Arc::clone(self);
        let shutdown = tasks.shutdown();
        let mut hangup = signal(SignalKind::hangup())?;

        tasks.spawn::<_, String>("limits", OnFailure::Log, async move {
            loop {
                // The reload itself reports errors in the log and in the metrics.
                let _ = tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    _ = hangup.recv() => limits.reload().await,
                    () = limits.clock.sleep(LOOK_INTERVAL) => limits.reload_if_changed().await,
                };
            }
        });

        Ok(())
    }
}

/// The error with its causes.
fn text(error: &LiveError) -> String {
    match error {
        LiveError::Faulty { .. } => error.to_string(),
        LiveError::Unreadable(cause @ FileError::Read { source, .. }) => {
            format!("{error}: {cause}: {source}")
        }
        LiveError::Unreadable(cause) => format!("{error}: {cause}"),
    }
}
