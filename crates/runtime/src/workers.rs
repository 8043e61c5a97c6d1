//! Threads for computations.

use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;

use crate::priority::step_back;

/// Runs computations on separate threads, so that a computation of seconds does not delay timers,
/// probes and writes. A clone is cheap. The threads end with the last clone.
///
/// The default has no threads of its own, and runs work on the caller's runtime.
#[derive(Clone, Debug, Default)]
pub struct Workers(Option<Arc<Threads>>);

/// A runtime that may be dropped from any thread, even from one of its own.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Workers {
    /// Starts one thread for each core. The threads have a lower priority than those that serve and
    /// write; see [`step_back`].
    pub fn start(name: &str) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name(name)
            .on_thread_start(step_back)
            .enable_all()
            .build()?;

        Ok(Self(Some(Arc::new(Threads(Some(runtime))))))
    }

    /// Starts `work` on these threads. When the handle is dropped, the work ends at its next await.
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

        assert!(computing > serving || serving == 19);
    }

    #[tokio::test]
    async fn a_computation_may_hold_the_last_clone_of_its_workers() {
        let workers = Workers::start("computes").unwrap();
        let clone = workers.clone();
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let (ended, end) = tokio::sync::oneshot::channel();

        let work = workers.spawn(async move {
            let _ = released.await;
            drop(clone);

            let _ = ended.send(());
        });

        drop(workers);
        release.send(()).unwrap();
        end.await.unwrap();
        drop(work);
    }
}
