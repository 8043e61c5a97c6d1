//! The memory of writes that are being handled: it is taken before a body is decoded, and given
//! back when the samples are in a head.

use std::sync::Arc;
use std::time::Duration;

use duramen_qos::{Account, Share, Use};
use duramen_runtime::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Config;
use crate::error::Error;
use crate::memory::HeadsMemory;

/// Bytes of memory for each byte of a decoded body, including the byte itself: a sample of ten
/// bytes takes twenty bytes of columns.
const COLUMNS_PER_BODY: usize = 3;

/// The share of one write in the memory for writes.
///
/// The intake takes it before the body is decoded. From there it moves with the write: inside
/// [`WriteBody`](crate::WriteBody), [`DecodedWrite`](crate::DecodedWrite),
/// [`GatedWrite`](crate::GatedWrite), and last in the command to the commit thread. It ends with
/// that command, once the rows are in the head, whether the sender still waits or not. If the write
/// is refused on the way, it ends there.
#[derive(Debug)]
pub struct MemoryPermit {
    _in_flight: OwnedSemaphorePermit,
    /// The share in the account of the process.
    _share: Share,
}

/// The memory for writes, and the limits of the heads behind them.
#[derive(Debug)]
pub(crate) struct WriteMemory {
    clock: Arc<dyn Clock>,
    in_flight: Arc<Semaphore>,
    in_flight_bytes_max: usize,
    wait_max: Duration,
    account: Arc<Account>,
    /// The heads of this process, which may have none.
    heads: Arc<HeadsMemory>,
    head_bytes_max: usize,
}

impl WriteMemory {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        account: Arc<Account>,
        heads: Arc<HeadsMemory>,
        config: &Config,
    ) -> Self {
        let in_flight_bytes_max = config.writes_in_flight_bytes_max;

        Self {
            clock,
            in_flight: Arc::new(Semaphore::new(in_flight_bytes_max)),
            in_flight_bytes_max,
            wait_max: config.write_wait_max,
            account,
            heads,
            head_bytes_max: config.head_bytes_max,
        }
    }

    /// Checks whether there is memory for a write at all.
    pub(crate) fn check_room(&self) -> Result<(), Error> {
        let bytes = self.heads.sample_bytes();
        let max = self.head_bytes_max;

        if bytes > max.saturating_mul(2) {
            return Err(Error::HeadFull { bytes, max });
        }

        self.account.check(Use::Head, 0)?;
        Ok(())
    }

    /// Waits until a body of `bytes` may be decoded. The permit covers the body and the columns of
    /// its samples together, so its holder never waits for a second permit.
    pub(crate) async fn permit_for_body(&self, bytes: usize) -> Result<MemoryPermit, Error> {
        self.check_room()?;

        let bytes = bytes.saturating_mul(COLUMNS_PER_BODY);
        let in_flight = self.in_flight(bytes).await?;

        Ok(MemoryPermit {
            _in_flight: in_flight,
            _share: self.account.take(Use::Body, bytes)?,
        })
    }

    /// Returns a permit for rows of the ingester itself, which are in memory already.
    pub(crate) async fn permit_for_own_rows(&self) -> Result<MemoryPermit, Error> {
        Ok(MemoryPermit {
            _in_flight: self.in_flight(1).await?,
            _share: self.account.share(Use::Body),
        })
    }

    /// Waits for `bytes` of the bytes in flight, or for all of them if `bytes` is more.
    async fn in_flight(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Error> {
        let max = self.in_flight_bytes_max;
        let permits = u32::try_from(bytes.clamp(1, max)).unwrap_or(u32::MAX);

        tokio::select! {
            biased;
            permit = Arc::clone(&self.in_flight).acquire_many_owned(permits) => permit.map_err(|_| Error::Stopped),
            () = self.clock.sleep(self.wait_max) => Err(Error::Overload { max }),
        }
    }
}
