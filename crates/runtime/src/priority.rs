//! When the kernel lets a thread run, in comparison with the other threads of the process.
//!
//! Two kinds of threads differ from the default: those that somebody waits for ([`step_ahead`]),
//! and those that compute for long ([`step_back`]). Both are for the rest of the thread's life. If
//! the kernel refuses, the thread runs as it did.

/// The niceness of threads that compute. When a thread with normal priority competes for the same
/// core, it gets three times the share of one of these. A higher niceness could harm threads that
/// serve requests, because they may wait for a lock that one of these threads has.
const NICENESS: i32 = 5;
/// The maximum niceness of the kernel.
#[cfg(target_os = "linux")]
const NICENESS_MAX: i32 = 19;
/// How long a thread that somebody waits for runs at a time, if others compete for its core, in
/// nanoseconds: the minimum of the kernel. The default is some 3 ms.
#[cfg(target_os = "linux")]
const SHORT_TURN_NS: u64 = 100_000;

/// Lowers the priority of the calling thread: for a thread that computes and must not hold up those
/// that serve and write.
pub fn step_back() {
    // On Linux, the priority belongs to the thread. Elsewhere it belongs to the whole process.
    #[cfg(target_os = "linux")]
    {
        let behind = (niceness() + NICENESS).min(NICENESS_MAX);

        if let Err(error) = schedule(behind, 0) {
            tracing::debug!(%error, "a thread that computes keeps its priority");
        }
    }
}

/// Lets the calling thread begin sooner when it wakes up, in turns that are shorter than those of
/// others: for a thread that works for a moment while somebody waits. It gets no more time than
/// before. Linux knows turns of threads since 6.12; before, this does nothing.
///
/// An acknowledgement wakes up four threads, one after the other. Each of them may wait until a
/// query has used up its turn.
pub fn step_ahead() {
    #[cfg(target_os = "linux")]
    if let Err(error) = schedule(niceness(), SHORT_TURN_NS) {
        tracing::debug!(%error, "a thread that serves keeps its turns");
    }
}

/// The size of the attributes in their first version, to which the structure of the library belongs.
#[cfg(target_os = "linux")]
const ATTRIBUTES_BYTES: u32 = 48;
#[cfg(target_os = "linux")]
const _: () = assert!(size_of::<libc::sched_attr>() == ATTRIBUTES_BYTES as usize);

#[cfg(target_os = "linux")]
fn niceness() -> i32 {
    rustix::process::getpriority_process(None).unwrap_or_default()
}

/// Sets the niceness and the length of the turns of the calling thread. 0 is the default length.
#[cfg(target_os = "linux")]
fn schedule(niceness: i32, turn_ns: u64) -> std::io::Result<()> {
    let attributes = libc::sched_attr {
        size: ATTRIBUTES_BYTES,
        sched_policy: libc::SCHED_OTHER.unsigned_abs(),
        sched_flags: 0,
        sched_nice: niceness,
        sched_priority: 0,
        sched_runtime: turn_ns,
        sched_deadline: 0,
        sched_period: 0,
    };

    // SAFETY: the kernel reads `size` bytes of `attributes`, which are all of it, and keeps no
    // pointer to it. 0 is the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };

    match result {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;

    /// The length of the calling thread's turns in nanoseconds, if this kernel shows it.
    fn turn_ns() -> Option<u64> {
        let shown = std::fs::read_to_string("/proc/thread-self/sched").ok()?;
        let slice = shown.lines().find(|line| line.starts_with("se.slice"))?;
        let (_, number) = slice.split_once(':')?;
        number.trim().parse().ok()
    }

    /// Whether the kernel knows turns of threads.
    fn knows_turns() -> bool {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = release.split(['.', '-']).map(str::parse::<u32>);
        let major = numbers.next().unwrap().unwrap();
        let minor = numbers.next().unwrap().unwrap();

        (major, minor) >= (6, 12)
    }

    fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| scope.spawn(work).join().unwrap())
    }

    #[test]
    fn a_thread_steps_back_or_ahead_alone() {
        let usual = (niceness(), turn_ns());

        let (back, ahead) = on_a_thread(|| {
            step_ahead();
            let ahead = (niceness(), turn_ns());

            step_back();
            ((niceness(), turn_ns()), ahead)
        });

        assert_eq!(back, ((usual.0 + NICENESS).min(NICENESS_MAX), usual.1));
        assert_eq!(ahead.0, usual.0);
        assert_eq!((niceness(), turn_ns()), usual);

        if knows_turns() && usual.1.is_some() {
            assert_eq!(ahead.1, Some(SHORT_TURN_NS));
        }
    }
}
