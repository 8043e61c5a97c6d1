//! CPU time, memory and writes of a process, from `/proc`.

use anyhow::{Context, Result};

/// Clock ticks per second in `/proc`: fixed by the kernel's interface on the machines we measure
/// on.
const TICKS_PER_S: f64 = 100.0;

/// The resources that a process has used so far: memory in MiB, writes in MB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time, to 10 ms.
    pub(crate) cpu_s: f64,
    pub(crate) rss_mib: f64,
    pub(crate) rss_peak_mib: f64,
    pub(crate) anon_mib: f64,
    /// Bytes handed to the block layer; 0 when the kernel does not tell.
    pub(crate) written_mb: f64,
}

impl Usage {
    /// Fails when the process is gone.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        Self::read(&pid.to_string())
            .with_context(|| format!("read the usage of a process. pid=`{pid}`"))
    }

    pub(crate) fn of_self() -> Result<Self> {
        Self::read("self")
    }

    fn read(pid: &str) -> Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();

        Ok(Self {
            cpu_s: cpu_s(&stat).context("/proc/pid/stat is not as expected")?,
            rss_mib: field(&status, "VmRSS:") / 1024.0,
            rss_peak_mib: field(&status, "VmHWM:") / 1024.0,
            anon_mib: field(&status, "RssAnon:") / 1024.0,
            written_mb: field(&io, "write_bytes:") / 1e6,
        })
    }

    pub(crate) fn to_json(self) -> serde_json::Value {
        serde_json::json!({
            "cpu_s": self.cpu_s,
            "rss_mb": self.rss_mib,
            "peak_rss_mb": self.rss_peak_mib,
            "anon_mb": self.anon_mib,
            "disk_write_mb": self.written_mb,
        })
    }
}

/// Fields 14 and 15, counted behind the command's closing bracket since a command may contain
/// blanks.
fn cpu_s(stat: &str) -> Option<f64> {
    let mut fields = stat
        .get(stat.rfind(')')? + 1..)?
        .split_whitespace()
        .skip(11);

    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_S)
}

/// The number behind `key` at the start of a line; 0 when there is none.
fn field(text: &str, key: &str) -> f64 {
    let value = text.lines().find_map(|line| line.strip_prefix(key));
    value
        .and_then(|v| v.split_whitespace().next()?.parse().ok())
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_brackets_and_blanks_is_passed_over() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 1 1 1";
        assert_eq!(cpu_s(stat), Some(2.0));
        assert_eq!(cpu_s("7 (a) S 1"), None);
    }

    #[test]
    fn a_field_is_found_at_the_start_of_a_line() {
        assert_eq!(field("xVmRSS: 1 kB\nVmRSS:\t2048 kB", "VmRSS:"), 2048.0);
        assert_eq!(field("", "VmRSS:"), 0.0);
    }
}
