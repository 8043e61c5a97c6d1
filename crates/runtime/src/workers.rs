//! Threads that compute.

use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;

/// Where computations run. On threads of their own, those that take seconds hold up no timer, no
/// probe and no write. Cheap to clone; the threads end with the last clone.
///
/// The default is the runtime of whoever spawns.
#[derive(Clone, Debug, Default)]
pub struct Workers(Option<Arc<Threads>>);

/// How far the threads step back, as of `nice`: a thread that does not gets three times their share
/// of a processor on which both would run. It is no more than that, since whoever serves may wait
/// for a lock that one of them holds.
const NICENESS: i32 = 5;
/// The kernel's largest.
#[cfg(target_os = "linux")]
const NICENESS_MAX: i32 = 19;

/// Lets the thread that calls it run behind others.
fn step_back() {
    // On Linux a priority belongs to a thread, elsewhere it would be that of the process.
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpriority_process, setpriority_process};

        let own = getpriority_process(None).unwrap_or_default();
        let behind = (own + NICENESS).min(NICENESS_MAX);

        if let Err(error) = setpriority_process(None, behind) {
            tracing::debug!(%error, "a thread that computes keeps its priority");
        }
    }
}

/// A runtime that whoever computes on it may drop.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Workers {
    /// Starts a thread for each core. They leave the processors to threads that serve and write,
    /// where those want them: see [`NICENESS`].
    pub fn start(name: &str) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name(name)
            .on_thread_start(step_back)
            .enable_all()
            .build()?;

        Ok(Self(Some(Arc::new(Threads(Some(runtime))))))
    }

    /// Starts `work` there. Dropping the handle ends it at its next await.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> AbortOnDropHandle<T> {
        let own = self.0.as_ref().and_then(|threads| threads.0.as_ref());
        #[expect(
            clippy::disallowed_methods,
            reason = "the handle joins the task, and ends it when it is dropped"
        )]
        AbortOnDropHandle::new(match own {
            Some(runtime) => runtime.spawn(work),
            None => tokio::spawn(work),
        })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_on_the_threads_of_its_workers_and_by_default_where_it_is_spawned() {
        let name = || std::thread::current().name().map(str::to_owned);
        let workers = Workers::start("computes").unwrap();

        assert_eq!(
            workers
                .spawn(async move { name() })
                .await
                .unwrap()
                .as_deref(),
            Some("computes")
        );

        assert_eq!(
            Workers::default()
                .spawn(async move { name() })
                .await
                .unwrap(),
            name()
        );
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn threads_that_compute_run_behind_those_that_serve() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let workers = Workers::start("computes").unwrap();
        let serving = niceness();
        let computing = workers.spawn(async move { niceness() }).await.unwrap();

        assert_eq!(computing, (serving + NICENESS).min(NICENESS_MAX));
    }

    #[tokio::test]
    async fn a_computation_may_hold_the_last_clone_of_its_workers() {
        let workers = Workers::start("computes").unwrap();
        let held = workers.clone();
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let (ended, end) = tokio::sync::oneshot::channel();

        let work = workers.spawn(async move {
            let _ = released.await;
            drop(held);

            let _ = ended.send(());
        });

        drop(workers);
        release.send(()).unwrap();
        end.await.unwrap();
        drop(work);
    }
}
