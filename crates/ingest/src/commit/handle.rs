//! The handle of the commit thread.

use std::sync::Arc;

use duramen_wal::Position;
use tokio::sync::{mpsc, oneshot};

use super::command::{Command, Write};
use crate::error::Error;
use crate::head::{Applied, Rows, SlotPin, TenantHead};
use crate::permit::MemoryPermit;

/// The length of the queue of commands. Each waiting write has a share of the bytes in flight.
const COMMANDS_MAX: usize = 1024;

/// Sends commands to the commit thread. It is cheap to clone; the thread ends when all handles are
/// gone.
#[derive(Clone, Debug)]
pub(crate) struct CommitHandle {
    commands: mpsc::Sender<Command>,
}

impl CommitHandle {
    /// Creates a handle, and the receiver for the thread.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Command>) {
        let (commands, received) = mpsc::channel(COMMANDS_MAX);
        (Self { commands }, received)
    }

    /// Logs and applies the rows. They are durable and readable when this returns `Ok`; dropping
    /// the future does not take them back.
    pub(crate) async fn write(
        &self,
        head: &Arc<TenantHead>,
        rows: Rows,
        exemplars_max: usize,
        permit: MemoryPermit,
        pin: SlotPin,
    ) -> Result<Applied, Error> {
        let (done, applied) = oneshot::channel();

        let write = Write {
            head: Arc::clone(head),
            rows,
            exemplars_max,
            permit,
            pin,
            done,
        };

        self.send(Command::Write(Box::new(write))).await?;
        applied.await.map_err(|_| Error::Stopped)?
    }

    /// Ends the tenant's open generation between two records. Returns the position of the log that
    /// is between them: everything that was acknowledged before this call is before it.
    pub(crate) async fn freeze(&self, head: &Arc<TenantHead>) -> Result<Position, Error> {
        let (done, frozen) = oneshot::channel();
        let head = Arc::clone(head);

        self.send(Command::Freeze { head, done }).await?;
        frozen.await.map_err(|_| Error::Stopped)
    }

    /// Deletes the segments of the log that every tenant has flushed.
    pub(crate) async fn trim(&self) -> Result<(), Error> {
        self.send(Command::Trim).await
    }

    /// Makes sure that no later record gets a position before `position`.
    pub(crate) async fn skip_to(&self, position: Position) -> Result<(), Error> {
        self.send(Command::SkipTo { position }).await
    }

    async fn send(&self, command: Command) -> Result<(), Error> {
        self.commands
            .send(command)
            .await
            .map_err(|_| Error::Stopped)
    }
}
