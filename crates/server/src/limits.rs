//! The limits file while the process runs: read at the start, and again when it changes or somebody
//! asks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context;
use duramen_limits::{Limits, LimitsFile, LimitsHandle};
use duramen_runtime::{Clock, OnFailure, Tasks};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;
use tracing::{info, warn};

use crate::config::{Config, text_of};

/// How often the file is looked at: a read of some kilobytes from the page cache.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// In front of why.
const UNREADABLE: &str = "the limits file cannot be read";

/// Whether a start would take the limits file.
pub(crate) fn check(config: &Config) -> anyhow::Result<()> {
    let Some(path) = &config.limits_file else {
        return Ok(());
    };
    let text = text_of(path).context(UNREADABLE)?;
    parse(&text, path, &config.limits())?;

    Ok(())
}

fn parse(text: &str, path: &Path, built_in: &Limits) -> anyhow::Result<LimitsFile> {
    LimitsFile::parse(text, built_in)
        .map_err(|faults| anyhow::anyhow!("the limits file {}: {faults}", path.display()))
}

/// The limits in force and the file that they are from.
#[derive(Debug)]
pub struct LiveLimits {
    pub handle: LimitsHandle,
    /// What holds without a file.
    pub built_in: Limits,
    file: Option<PathBuf>,
    /// The text that was read last, good or not: the same is not told again every few seconds. Held
    /// during a reload.
    seen: Mutex<String>,
    clock: Arc<dyn Clock>,
    successful: Gauge,
    success_seconds: Gauge<f64, AtomicU64>,
}

impl LiveLimits {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// A file that cannot be read or has a fault: a process must not start under limits that nobody
    /// meant.
    pub fn open(
        config: &Config,
        clock: Arc<dyn Clock>,
        registry: &mut Registry,
    ) -> anyhow::Result<Self> {
        let (successful, success_seconds) = (Gauge::default(), Gauge::<f64, AtomicU64>::default());
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

        let handle = LimitsHandle::default();
        let built_in = config.limits();
        let file = config.limits_file.clone();

        let limits = Self {
            handle,
            built_in,
            file,
            seen: Mutex::default(),
            clock,
            successful,
            success_seconds,
        };

        let read = limits.file.as_deref().map(text_of).transpose();
        let text = read.context(UNREADABLE)?.unwrap_or_default();
        limits.adopt(&text)?;
        *limits.seen.try_lock().expect("nobody else has it yet") = text;

        Ok(limits)
    }

    /// Reads the file and puts it in force.
    ///
    /// # Errors
    /// As for [`LiveLimits::open`]; what was in force stays so.
    pub async fn reload(&self) -> anyhow::Result<()> {
        let mut seen = self.seen.lock().await;
        let read = self.text().await.and_then(|text| {
            seen.clone_from(&text);
            self.adopt(&text)
        });

        self.told(read)
    }

    /// As [`LiveLimits::reload`], when there is something new to read.
    async fn reload_if_changed(&self) -> anyhow::Result<()> {
        let mut seen = self.seen.lock().await;
        let read = self.text().await.and_then(|text| {
            if *seen == text {
                return Ok(());
            }

            seen.clone_from(&text);
            self.adopt(&text)
        });

        self.told(read)
    }

    async fn text(&self) -> anyhow::Result<String> {
        let Some(path) = self.file.clone() else {
            return Ok(String::new());
        };
        tokio::task::spawn_blocking(move || text_of(&path))
            .await?
            .context(UNREADABLE)
    }

    fn adopt(&self, text: &str) -> anyhow::Result<()> {
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

    fn told(&self, read: anyhow::Result<()>) -> anyhow::Result<()> {
        if let Err(error) = &read
            && self.successful.set(0) != 0
        {
            warn!(
                error = format!("{error:#}"),
                "the limits file has a fault; the limits that were in force stay so"
            );
        }

        read
    }

    /// Looks at the file every few seconds and on SIGHUP until the process shuts down.
    pub(crate) fn watch(self: &Arc<Self>, tasks: &Tasks) -> std::io::Result<()> {
        let limits = Arc::clone(self);
        let shutdown = tasks.shutdown();
        let mut hangup = signal(SignalKind::hangup())?;

        tasks.spawn::<_, String>("limits", OnFailure::Log, async move {
            loop {
                // Told in the log and in the metrics by the reload itself.
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
