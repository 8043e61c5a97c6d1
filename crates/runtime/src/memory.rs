//! The memory that the system allows this process.
//!
//! Linux has the numbers in files: the memory of the machine, the limits of the process' control
//! groups (both versions, and every group above its own), and the limits of the process itself. The
//! smallest number counts.

use std::fmt;
use std::path::{Component, Path, PathBuf};

/// The assumed memory if the system does not say.
const UNKNOWN_BYTES: u64 = 4 << 30;

/// The maximum memory of this process, and what sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    pub bytes: u64,
    pub set_by: MemoryLimitSource,
}

/// What limits the memory of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryLimitSource {
    /// The memory of the machine.
    Machine,
    /// A control group, by the path of its file. It is the group of the process or one above it.
    ControlGroup(PathBuf),
    /// A limit of the process (`ulimit -v` or `ulimit -d`), by its name in `/proc/self/limits`.
    ProcessLimit(&'static str),
    /// The system does not say, so the bytes are a guess.
    Unknown,
}

impl fmt::Display for MemoryLimitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine => f.write_str("the machine's memory"),
            Self::ControlGroup(file) => write!(f, "the control group's limit, {}", file.display()),
            Self::ProcessLimit(name) => write!(f, "the process's limit `{name}`"),
            Self::Unknown => f.write_str("a guess, since the system does not say"),
        }
    }
}

impl MemoryLimit {
    /// Reads the limit of this process from the system.
    pub fn of_this_process() -> Self {
        Self::below(Path::new("/"))
    }

    /// Like [`MemoryLimit::of_this_process`], but reads the system files below `root`.
    fn below(root: &Path) -> Self {
        let machine = machine_bytes(root).map(|bytes| Self {
            bytes,
            set_by: MemoryLimitSource::Machine,
        });

        let limits = machine
            .into_iter()
            .chain(process_limits(root))
            .chain(group_limits(root));

        let unknown = Self {
            bytes: UNKNOWN_BYTES,
            set_by: MemoryLimitSource::Unknown,
        };

        // Of equal limits, the first is returned: the machine comes before a group that allows all
        // of it.
        limits.min_by_key(|limit| limit.bytes).unwrap_or(unknown)
    }
}

fn read(root: &Path, file: &str) -> String {
    std::fs::read_to_string(root.join(file)).unwrap_or_default()
}

fn machine_bytes(root: &Path) -> Option<u64> {
    let meminfo = read(root, "proc/meminfo");
    let total = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = total.trim().strip_suffix("kB")?.trim_end().parse().ok()?;

    kibibytes.checked_mul(1024)
}

/// The soft limits of the process that bound its memory.
fn process_limits(root: &Path) -> Vec<MemoryLimit> {
    let text = read(root, "proc/self/limits");
    let limit = |name: &'static str| {
        let columns = text.lines().find_map(|line| line.strip_prefix(name))?;
        let bytes = columns.split_whitespace().next()?.parse().ok()?;

        Some(MemoryLimit {
            bytes,
            set_by: MemoryLimitSource::ProcessLimit(name),
        })
    };

    ["Max address space", "Max data size"]
        .into_iter()
        .filter_map(limit)
        .collect()
}

/// The limits of the process' own control group and of all groups above it.
fn group_limits(root: &Path) -> Vec<MemoryLimit> {
    let mounts = read(root, "proc/self/mountinfo");
    let mut limits = Vec::new();

    for line in read(root, "proc/self/cgroup").lines() {
        // `hierarchy:controllers:path`. Version 2 has hierarchy number 0 and lists no controllers.
        let mut fields = line.splitn(3, ':');
        let (Some(hierarchy), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };

        let version = match (hierarchy, controllers) {
            ("0", "") => Version::Two,
            (_, names) if names.split(',').any(|name| name == "memory") => Version::One,
            _ => continue,
        };

        for mount in mounts.lines().filter_map(|line| Mount::of(line, version)) {
            limits.extend(mount.limits(root, path, version));
        }
    }

    limits
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    /// The files with the memory limits of a group. Above `memory.high`, a group is not killed, but
    /// it becomes too slow to use.
    const fn files(self) -> &'static [&'static str] {
        match self {
            Self::One => &["memory.limit_in_bytes"],
            Self::Two => &["memory.max", "memory.high"],
        }
    }
}

/// Where a hierarchy of control groups is mounted.
struct Mount<'a> {
    /// The group that is visible at `point` itself.
    group: &'a str,
    point: &'a Path,
}

impl<'a> Mount<'a> {
    /// Parses a line of `mountinfo`: `id parent device root point options.. - type source options`.
    fn of(line: &'a str, version: Version) -> Option<Self> {
        let (before, behind) = line.split_once(" - ")?;
        let mut described = behind.split(' ');
        let kind = described.next()?;
        let options = described.nth(1).unwrap_or_default();

        let is_wanted = match version {
            Version::One => kind == "cgroup" && options.split(',').any(|name| name == "memory"),
            Version::Two => kind == "cgroup2",
        };

        let mut fields = before.split(' ').skip(3);
        let group = fields.next()?;
        let point = Path::new(fields.next()?);

        is_wanted.then_some(Self { group, point })
    }

    /// The limits of the group with this `path` and of all groups above it, as far as they are
    /// mounted here.
    fn limits(&self, root: &Path, path: &str, version: Version) -> Vec<MemoryLimit> {
        // In a container, the mount may begin at the container's own group. A path that is not
        // below it, or that goes up, is seen from outside the container. Then the group is the
        // mount itself.
        let below = Path::new(path)
            .strip_prefix(self.group)
            .unwrap_or_else(|_| Path::new(""));
        let goes_up = below.components().any(|part| part == Component::ParentDir);
        let below = if goes_up { Path::new("") } else { below };

        let mut limits = Vec::new();

        for group in below.ancestors() {
            for name in version.files() {
                let file = self.point.join(group).join(name);
                let inside = file.strip_prefix("/").unwrap_or(&file);
                let text = std::fs::read_to_string(root.join(inside)).unwrap_or_default();

                // The word `max`, which means no limit, does not parse as a number.
                if let Ok(bytes) = text.trim().parse() {
                    limits.push(MemoryLimit {
                        bytes,
                        set_by: MemoryLimitSource::ControlGroup(file),
                    });
                }
            }
        }

        limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const MEMINFO: &str = "MemTotal:        8388608 kB\nMemFree:          100 kB\n";
    const UNLIMITED: &str = "Limit                     Soft Limit           Hard Limit           Units\n\
        Max data size             unlimited            unlimited            bytes\n\
        Max address space         unlimited            unlimited            bytes\n";
    const VERSION_2: &str =
        "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const VERSION_1: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
        32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    /// The limit that is found on a machine of 8 GiB with these files.
    fn found(files: &[(&str, &str)]) -> MemoryLimit {
        let root = tempfile::tempdir().unwrap();
        let usual = [("proc/meminfo", MEMINFO), ("proc/self/limits", UNLIMITED)];

        for (path, text) in usual.iter().chain(files) {
            let file = root.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }

        MemoryLimit::below(root.path())
    }

    fn group(file: &str) -> MemoryLimitSource {
        MemoryLimitSource::ControlGroup(PathBuf::from(file))
    }

    #[test]
    fn without_limits_it_is_the_machine() {
        let limit = found(&[]);
        assert_eq!(
            limit,
            MemoryLimit {
                bytes: 8 * GIB,
                set_by: MemoryLimitSource::Machine
            }
        );
    }

    #[test]
    fn a_group_of_version_2_is_bounded_by_those_above_it() {
        let own = "sys/fs/cgroup/system.slice/duramen.service/memory.max";
        let above = "sys/fs/cgroup/system.slice/memory.max";
        let files = [
            ("proc/self/cgroup", "0::/system.slice/duramen.service\n"),
            ("proc/self/mountinfo", VERSION_2),
        ];

        let tight = found(&[&files[..], &[(own, "1073741824\n"), (above, "max\n")]].concat());
        let of_own = "/sys/fs/cgroup/system.slice/duramen.service/memory.max";

        assert_eq!(
            tight,
            MemoryLimit {
                bytes: GIB,
                set_by: group(of_own)
            }
        );

        let nested = found(
            &[
                &files[..],
                &[(own, "2147483648\n"), (above, "1073741824\n")],
            ]
            .concat(),
        );

        let of_above = "/sys/fs/cgroup/system.slice/memory.max";
        assert_eq!(
            nested,
            MemoryLimit {
                bytes: GIB,
                set_by: group(of_above)
            }
        );

        let free = found(&[&files[..], &[(own, "max\n"), (above, "max\n")]].concat());
        assert_eq!(free.set_by, MemoryLimitSource::Machine);
    }

    #[test]
    fn a_group_that_is_slowed_down_counts_as_bounded() {
        let limit = found(&[
            ("proc/self/cgroup", "0::/a\n"),
            ("proc/self/mountinfo", VERSION_2),
            ("sys/fs/cgroup/a/memory.max", "2147483648\n"),
            ("sys/fs/cgroup/a/memory.high", "1073741824\n"),
        ]);

        assert_eq!(
            limit,
            MemoryLimit {
                bytes: GIB,
                set_by: group("/sys/fs/cgroup/a/memory.high")
            }
        );
    }

    #[test]
    fn a_group_of_version_1_is_found_by_its_controller() {
        let limit = found(&[
            (
                "proc/self/cgroup",
                "5:cpu,cpuacct:/b\n4:memory:/a/b\n0::/\n",
            ),
            ("proc/self/mountinfo", VERSION_1),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
            (
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes",
                "1073741824\n",
            ),
            (
                "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
        ]);

        let of_above = "/sys/fs/cgroup/memory/a/memory.limit_in_bytes";
        assert_eq!(
            limit,
            MemoryLimit {
                bytes: GIB,
                set_by: group(of_above)
            }
        );
    }

    #[test]
    fn a_container_sees_its_own_group_as_the_root() {
        let mount = "35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let file = "sys/fs/cgroup/memory/memory.limit_in_bytes";

        // The path as seen by the host, the path in a namespace, and a path above the mount.
        for path in ["/docker/abc", "/", "/../other"] {
            let limit = found(&[
                ("proc/self/cgroup", &format!("4:memory:{path}\n")),
                ("proc/self/mountinfo", mount),
                (file, "1073741824\n"),
            ]);

            assert_eq!(limit.bytes, GIB, "{path}");
        }
    }

    #[test]
    fn a_limit_of_the_process_counts() {
        for name in ["Max address space", "Max data size"] {
            let text = format!("{name:<26}1073741824           unlimited            bytes\n");
            let limit = found(&[("proc/self/limits", &text)]);

            assert_eq!(limit.bytes, GIB);
            assert_eq!(limit.set_by, MemoryLimitSource::ProcessLimit(name));
        }
    }

    #[test]
    fn a_system_that_says_nothing_is_guessed() {
        let empty = tempfile::tempdir().unwrap();
        let limit = MemoryLimit::below(empty.path());

        assert_eq!(limit.set_by, MemoryLimitSource::Unknown);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_tells() {
        let limit = MemoryLimit::of_this_process();
        assert_ne!(limit.set_by, MemoryLimitSource::Unknown);
        assert!(limit.bytes > 16 << 20, "{limit:?}");
    }
}
