//! Identifies processes, and checks whether a process of this machine still runs.

use std::fs;

/// The identity of a process. It is unique among all processes of its machine, and across restarts
/// of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessMark {
    /// The name of the machine, for people.
    pub host: String,
    /// The id of the kernel's boot, which changes with each start of the machine.
    pub boot: String,
    /// The namespace in which process ids are comparable.
    pub pid_namespace: String,
    pub pid: u32,
    /// When the process was started, in ticks of the kernel. It is needed because process ids are
    /// reused.
    pub started: u64,
}

/// What is known about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// The process runs, or it is stopped and may continue.
    Alive,
    /// The process has ended.
    Gone,
    /// The process belongs to another machine, or the system does not say.
    Unknown,
}

impl ProcessMark {
    /// The mark of this process. `None` if the system has no `/proc`.
    pub fn of_this() -> Option<Self> {
        let pid = std::process::id();
        let (started, _) = stat(pid)?;
        let boot = boot()?;
        let pid_namespace = pid_namespace()?;
        let host = fs::read_to_string("/proc/sys/kernel/hostname")
            .unwrap_or_default()
            .trim()
            .to_owned();

        Some(Self {
            host,
            boot,
            pid_namespace,
            pid,
            started,
        })
    }

    /// Checks whether the process still runs, as far as this machine can tell.
    pub fn liveness(&self) -> Liveness {
        if boot().as_deref() != Some(&*self.boot)
            || pid_namespace().as_deref() != Some(&*self.pid_namespace)
        {
            return Liveness::Unknown;
        }

        match stat(self.pid) {
            Some((started, state))
                if started == self.started && !matches!(state, 'Z' | 'X' | 'x') =>
            {
                Liveness::Alive
            }
            Some(_) => Liveness::Gone,
            None if stat(std::process::id()).is_some() => Liveness::Gone,
            None => Liveness::Unknown,
        }
    }
}

fn boot() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(boot.trim().to_owned())
}

fn pid_namespace() -> Option<String> {
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(namespace.to_string_lossy().into_owned())
}

/// The start time and the state of a process. The process name comes before them and may have any
/// characters, even brackets.
fn stat(pid: u32) -> Option<(u64, char)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let started = fields.nth(18)?.parse().ok()?;

    Some((started, state))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn this_process_is_alive_and_one_that_was_given_its_number_before_is_gone() {
        let this = ProcessMark::of_this().unwrap();
        assert_eq!(this.liveness(), Liveness::Alive);

        let before = ProcessMark {
            started: this.started.wrapping_sub(1),
            ..this
        };

        assert_eq!(before.liveness(), Liveness::Gone);
    }

    #[test]
    fn a_killed_process_is_gone_before_its_parent_has_asked() {
        let mut child = Command::new("sleep")
            .arg("600")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();

        let mark = ProcessMark {
            pid: child.id(),
            started: stat(child.id()).unwrap().0,
            ..ProcessMark::of_this().unwrap()
        };

        assert_eq!(mark.liveness(), Liveness::Alive);

        child.kill().unwrap();
        while stat(child.id()).is_some_and(|(_, state)| state != 'Z') {
            std::thread::yield_now();
        }

        assert_eq!(mark.liveness(), Liveness::Gone);

        child.wait().unwrap();
        assert_eq!(mark.liveness(), Liveness::Gone);
    }

    #[test]
    fn of_another_machine_nothing_is_known() {
        let other = ProcessMark {
            boot: "another".to_owned(),
            ..ProcessMark::of_this().unwrap()
        };

        assert_eq!(other.liveness(), Liveness::Unknown);
    }
}
