//! Another S3 beside our own: moto.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::http::Request;
use super::process::{Process, free_address, program, skip};
use super::wait::until;

/// A running moto with the bucket `test`.
#[derive(Debug)]
pub(crate) struct Moto {
    _process: Process,
    _directory: TempDir,
    address: SocketAddr,
}

impl Moto {
    /// Starts one. Without a Python with moto, prints that and returns `None`.
    pub(crate) async fn start() -> Option<Self> {
        let python = program("DURAMEN_TEST_PYTHON", "python3")?;
        let import = Command::new(&python)
            .args(["-c", "import moto.server"])
            .stderr(Stdio::null())
            .status();

        if !import.is_ok_and(|status| status.success()) {
            skip(&format!("{} cannot import moto.server", python.display()));
            return None;
        }

        let directory = TempDir::new().unwrap();
        let address = free_address();
        let mut command = Command::new(&python);

        command.args([
            "-m",
            "moto.server",
            "-H",
            "127.0.0.1",
            "-p",
            &address.port().to_string(),
        ]);

        let process = Process::start(&mut command, &directory.path().join("log"));
        until("a ready moto", Duration::from_secs(60), async || {
            let created = Request::new("PUT", "/test").send(address).await.ok()?;
            (created.status == 200).then_some(())
        })
        .await;
        Some(Self {
            _process: process,
            _directory: directory,
            address,
        })
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}
