//! Lets long computations yield between their steps.

/// Makes a long computation yield from time to time, so that others can run and the computation can
/// be cancelled.
///
/// A task can be cancelled only at an await. A computation without awaits reports its work here.
/// After a certain amount of work it yields, and ends there if it was cancelled.
#[derive(Debug, Default)]
pub struct Pace {
    done: usize,
}

impl Pace {
    /// The work between two yields. A unit takes some tens of nanoseconds. When a hard pattern is
    /// matched, a unit is one byte of the text, which takes up to a microsecond.
    const UNITS: usize = 4096;

    /// Reports `units` of work. Yields if enough was done since the last yield.
    pub async fn done(&mut self, units: usize) {
        self.done = self.done.saturating_add(units);
        if self.done >= Self::UNITS {
            self.wait().await;
        }
    }

    /// Yields to other tasks now.
    pub async fn wait(&mut self) {
        self.done = 0;
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn it_waits_once_enough_is_done_and_not_before() {
        let mut pace = Pace::default();
        assert!(pace.done(Pace::UNITS - 1).now_or_never().is_some());
        assert!(pace.done(1).now_or_never().is_none());
        assert!(pace.done(1).now_or_never().is_some(), "it began anew");
    }

    #[tokio::test]
    async fn a_task_ends_at_its_next_wait() {
        let (ended, end) = tokio::sync::oneshot::channel::<()>();
        let endless = crate::Workers::default().spawn(async move {
            let _ended = ended;
            let mut pace = Pace::default();

            loop {
                pace.done(100).await;
            }
        });

        drop(endless);
        assert!(end.await.is_err());
    }
}
