//! Computations that can be ended between two of their steps.

/// Lets a long computation be ended, and others have their turn, every so often.
///
/// A task ends at an await only. A computation that awaits nothing notes what it does here, and
/// waits for a moment whenever enough is done: it is over then if nobody asks for it any more.
#[derive(Debug, Default)]
pub struct Pace {
    done: usize,
}

impl Pace {
    /// So much is done between two waits. A unit is what takes some tens of nanoseconds, or, of a
    /// hard pattern that is held against a text, a byte, which takes a microsecond.
    const UNITS: usize = 4096;

    /// Notes that work of `units` is done.
    pub async fn done(&mut self, units: usize) {
        self.done = self.done.saturating_add(units);
        if self.done >= Self::UNITS {
            self.wait().await;
        }
    }

    /// Lets others have their turn now.
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
