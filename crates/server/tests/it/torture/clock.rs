//! The wall clock of one process, which a test moves. The monotonic clock is not changed.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::harness::process::skip;

/// Replaces the C library's `clock_gettime`. It reads the shift in milliseconds from a file that it
/// maps.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *shift_ms;

__attribute__((constructor)) static void map_shift(void) {
    const char *path = getenv("TEST_CLOCK_SHIFT");
    int fd = path ? open(path, O_RDONLY) : -1;
    if (fd < 0) return;
    void *mapped = mmap(0, 8, PROT_READ, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED) shift_ms = mapped;
    close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && clock == CLOCK_REALTIME && shift_ms) {
        now->tv_sec += *shift_ms / 1000;
    }
    return failed;
}
"#;

/// The clock, its library and its file.
#[derive(Debug)]
pub(super) struct WallClock {
    directory: TempDir,
    shift_ms: i64,
}

impl WallClock {
    /// Builds the library. Without a C compiler, prints that and returns `None`.
    pub(super) fn new() -> Option<Self> {
        let directory = TempDir::new().expect("a directory");
        let source = directory.path().join("clock.c");
        std::fs::write(&source, SHIM).expect("the source is written");

        let clock = Self {
            directory,
            shift_ms: 0,
        };

        clock.write();

        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(clock.library())
            .arg(&source)
            .status();

        if !built.is_ok_and(|status| status.success()) {
            skip("no C compiler for a clock that jumps");
            return None;
        }

        Some(clock)
    }

    /// Returns the library that the process loads before everything else.
    pub(super) fn library(&self) -> PathBuf {
        self.directory.path().join("clock.so")
    }

    /// Returns the environment variable that tells the library where the shift is.
    pub(super) fn variable(&self) -> (&'static str, PathBuf) {
        ("TEST_CLOCK_SHIFT", self.file())
    }

    /// Moves the clock by `by_ms` more.
    pub(super) fn shift(&mut self, by_ms: i64) {
        self.shift_ms += by_ms;
        self.write();
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("shift")
    }

    fn write(&self) {
        write_in_place(&self.file(), &self.shift_ms.to_ne_bytes());
    }
}

/// Writes the file in place, because the process has mapped it: it must stay the same file and must
/// not become shorter.
fn write_in_place(path: &Path, bytes: &[u8]) {
    use std::io::Write;

    let mut file = std::fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .expect("a file");

    file.write_all(bytes).expect("the shift is written");
}
