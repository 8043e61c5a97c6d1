//! A child process with its output in a file. It never outlives the test.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a helper that fails fails its test, and a skip is said aloud"
)]

use std::ffi::OsStr;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use super::wait::until;

/// A started process. Dropping it kills it by its id.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with stdout and stderr appended to `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Self {
        let out = File::options().create(true).append(true).open(log).unwrap();
        let child = command.stdout(out.try_clone().unwrap()).stderr(out).spawn();
        let child = child.unwrap_or_else(|e| panic!("{:?}: {e}", command.get_program()));

        Self {
            child,
            log: log.to_path_buf(),
        }
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends SIGKILL; the process is gone on return.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits until the process ends by itself.
    pub(crate) async fn ended(&mut self, deadline: Duration) -> ExitStatus {
        until("the end of a process", deadline, async || self.status()).await
    }

    /// Returns the processor time so far, in the kernel's ticks, which are hundredths of a second
    /// nearly everywhere.
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();

        // After the name in parentheses come the state, ten numbers, and then the times in user and
        // in kernel mode.
        let behind_name = stat.rsplit_once(')').unwrap().1;
        behind_name
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum()
    }

    /// Returns the resident memory in bytes: now, and the most since the last call.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let id = self.child.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();

        let kibibytes = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace()
                .nth(1)
                .unwrap()
                .parse::<u64>()
                .unwrap()
        };

        let found = (kibibytes("VmRSS:") << 10, kibibytes("VmHWM:") << 10);

        // If the kernel refuses this, the most is that of the whole life. Then a test may fail
        // needlessly, but none passes wrongly.
        let _ = std::fs::write(format!("/proc/{id}/clear_refs"), "5");
        found
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns an address that nobody listens on. Its port is outside of the range for outgoing
/// connections, because a restarted server must get its port again.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);

    let start = 12_000 + u16::try_from(std::process::id() % 150).unwrap() * 100;

    loop {
        let port = start + NEXT.fetch_add(1, Ordering::Relaxed);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));

        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Returns the program that the variable names, or else `name` in the path. Without one, prints
/// that and returns `None`, or fails if all tests must run.
pub(crate) fn program(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(variable) {
        return Some(named.into());
    }

    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file());

    if found.is_none() {
        skip(&format!(
            "{name} is not in the path, and {variable} is not set"
        ));
    }

    found
}

/// Returns the program that the variable names. Without the variable, prints that and returns
/// `None`. It never fails: whoever wants these tests sets the variable.
pub(crate) fn optional(variable: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable);
    if named.is_none() {
        eprintln!("skipped: {variable} is not set");
    }

    named.map(PathBuf::from)
}

/// Prints why a test is skipped; fails if all tests must run.
pub(crate) fn skip(why: &str) {
    assert!(
        std::env::var_os("DURAMEN_REQUIRE_ALL").as_deref() != Some(OsStr::new("1")),
        "{why}"
    );

    eprintln!("skipped: {why}");
}
