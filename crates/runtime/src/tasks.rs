//! Runs named tasks, which are watched and joined.

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::thread;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

/// What the failure of a task means for the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// It concerns one connection or one job. It is logged, and the process continues.
    Log,
    /// The process cannot keep its promises without this task, so it stops. All data is on disk and
    /// in the bucket, so a restart is cheap and safe.
    Fatal,
}

/// Spawns the tasks of one process. A clone is cheap.
#[derive(Clone, Debug)]
pub struct Tasks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    shutdown: CancellationToken,
    failed: CancellationToken,
    /// Why the process must stop: the name of the first fatal task that failed, and its error with
    /// all causes.
    failure: OnceLock<String>,
}

impl Default for Tasks {
    fn default() -> Self {
        let shutdown = CancellationToken::new();
        let failed = CancellationToken::new();

        Self {
            shared: Arc::new(Shared {
                shutdown,
                failed,
                failure: OnceLock::new(),
            }),
        }
    }
}

impl Tasks {
    /// The signal for tasks to finish their work and return.
    pub fn shutdown(&self) -> CancellationToken {
        self.shared.shutdown.clone()
    }

    /// A token that is cancelled when a task with [`OnFailure::Fatal`] fails or panics.
    pub fn failed(&self) -> CancellationToken {
        self.shared.failed.clone()
    }

    /// The name and the error of the first task with [`OnFailure::Fatal`] that failed; `None` if
    /// none has failed.
    pub fn failure(&self) -> Option<&str> {
        self.shared.failure.get().map(String::as_str)
    }

    /// Runs `future` on the current tokio runtime. An `Err` or a panic is logged with `name` and
    /// treated as `on_failure` says.
    pub fn spawn<F, E>(
        &self,
        name: &'static str,
        on_failure: OnFailure,
        future: F,
    ) -> JoinHandle<()>
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
    {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the door that others are sent to"
        )]
        let inner = tokio::spawn(future);
        let tasks = self.clone();

        #[expect(
            clippy::disallowed_methods,
            reason = "this is the door that others are sent to"
        )]
        tokio::spawn(async move {
            let message = match inner.await {
                Ok(Ok(())) => return,
                Ok(Err(e)) => with_causes(e),
                Err(e) => e.to_string(),
            };

            tasks.on_failure(name, on_failure, &message);
        })
    }

    /// Runs `work` on a thread of its own, for loops that block. An `Err` or a panic is treated as
    /// in [`Tasks::spawn`].
    pub fn spawn_thread<F, E>(
        &self,
        name: &'static str,
        on_failure: OnFailure,
        work: F,
    ) -> std::io::Result<thread::JoinHandle<()>>
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let tasks = self.clone();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let message = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
                Ok(Ok(())) => return,
                Ok(Err(e)) => with_causes(e),
                Err(panic) => panic_message(panic.as_ref()),
            };

            tasks.on_failure(name, on_failure, &message);
        })
    }

    fn on_failure(&self, task: &'static str, on_failure: OnFailure, message: &str) {
        match on_failure {
            OnFailure::Log => warn!(task, error = message, "a task failed"),
            OnFailure::Fatal => {
                error!(
                    task,
                    error = message,
                    "a task that the process cannot do without failed"
                );

                let _ = self.shared.failure.set(format!("{task}: {message}"));
                self.shared.failed.cancel();
            }
        }
    }
}

/// The text of the error, followed by the texts of its sources.
fn with_causes<E: Into<Box<dyn Error + Send + Sync>>>(error: E) -> String {
    let error: Box<dyn Error + Send + Sync> = error.into();
    let mut text = error.to_string();
    let mut source = error.source();

    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }

    text
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));

    format!("panicked: {}", text.unwrap_or("no message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fatal_task_that_panics_is_seen_as_failed() {
        let tasks = Tasks::default();
        let handle = tasks.spawn::<_, String>("doomed", OnFailure::Fatal, async {
            panic!("broken invariant")
        });
        handle.await.unwrap();

        assert!(tasks.failed().is_cancelled());
    }

    #[tokio::test]
    async fn the_first_failure_is_kept_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("the log failed")]
        struct Failed(#[source] std::io::Error);

        let tasks = Tasks::default();
        assert_eq!(tasks.failure(), None);

        let failed = Failed(std::io::Error::other("the disk failed"));
        tasks
            .spawn("commit", OnFailure::Fatal, async { Err(failed) })
            .await
            .unwrap();

        tasks
            .spawn("flush", OnFailure::Fatal, async { Err("stopped") })
            .await
            .unwrap();

        assert_eq!(
            tasks.failure(),
            Some("commit: the log failed: the disk failed")
        );
    }

    #[tokio::test]
    async fn a_failure_that_is_only_logged_stops_nothing() {
        let tasks = Tasks::default();
        tasks
            .spawn("job", OnFailure::Log, async { Err("no luck") })
            .await
            .unwrap();

        assert!(!tasks.failed().is_cancelled());
    }
}
