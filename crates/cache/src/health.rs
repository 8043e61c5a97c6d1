//! Whether a disk is asked, or left alone for a while since it failed. Time is an argument.

use std::time::Duration;

use parking_lot::Mutex;

/// The pause after the first failure. Each further one doubles it.
const PAUSE_MIN: Duration = Duration::from_secs(10);
const PAUSE_MAX: Duration = Duration::from_secs(10 * 60);

/// One kind of calls to a disk.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When the pause ends; `None` while all is well.
    until: Option<Duration>,
    pause: Duration,
}

impl Health {
    /// Whether the disk may be asked at the time `now`.
    pub(crate) fn is_on(&self, now: Duration) -> bool {
        self.0.lock().until.is_none_or(|until| until <= now)
    }

    /// Notes a failure, and begins a pause. Returns true if all was well before.
    pub(crate) fn failed(&self, now: Duration) -> bool {
        let mut state = self.0.lock();
        let was_well = state.until.is_none();

        // Calls that were under way when the pause began do not make it longer.
        if state.until.is_none_or(|until| until <= now) {
            state.pause = (state.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
            state.until = Some(now + state.pause);
        }

        was_well
    }

    /// Notes a success. Returns true if a failure came before.
    pub(crate) fn worked(&self, now: Duration) -> bool {
        let mut state = self.0.lock();

        // A call that was under way when another one failed says nothing.
        let is_over = state.until.is_some_and(|until| until <= now);
        if is_over {
            *state = State::default();
        }

        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_fails_is_asked_again_after_pauses_that_double() {
        let health = Health::default();
        let mut now = Duration::from_secs(100);
        let mut pauses = Vec::new();

        for failure in 0..8 {
            assert!(health.is_on(now));
            assert_eq!(health.failed(now), failure == 0);
            assert!(!health.failed(now), "the same failure again");

            let start = now;
            while !health.is_on(now) {
                assert!(!health.worked(now));
                now += Duration::from_secs(1);
            }

            pauses.push((now - start).as_secs());
        }

        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 600, 600]);
        assert!(health.worked(now));
        assert!(!health.worked(now));
        assert!(health.failed(now), "the next failure is the first again");
    }
}
