//! Sends the GETs of all open blocks of a process.

use std::sync::Arc;

use bytes::Bytes;
use duramen_runtime::Flights;
use duramen_source::{Read, Reads};

use crate::read::cache::ExtentKey;
use crate::read::get::{Get, GetError};
use crate::read::hedge::Hedges;

/// Sends the GETs of all open blocks of a process. Several readers who want the same extents at the
/// same time share one GET. Share one fetcher among all blocks of a process.
#[derive(Debug, Default)]
pub struct Fetcher {
    pub(crate) flights: Flights<ExtentKey, Landed>,
    hedges: Option<Hedges>,
}

/// What a run of extents brought, for all who wait for it.
#[derive(Clone, Debug)]
pub(crate) struct Landed {
    pub(crate) extents: Result<Vec<(u64, Bytes)>, GetError>,
    /// What it cost. It counts for the reader who began it.
    pub(crate) reads: Arc<Reads>,
}

impl Fetcher {
    /// Returns a fetcher that sends slow GETs once more.
    pub fn hedging(hedges: Hedges) -> Self {
        Self {
            flights: Flights::default(),
            hedges: Some(hedges),
        }
    }

    /// How many extents are being fetched now.
    pub fn running(&self) -> usize {
        self.flights.running()
    }

    /// Sends `get` once the limit of `reads` allows, and once more if it is slow. The second
    /// request is within the limit of the process, but not of the query.
    pub(crate) async fn get(&self, get: &Get, reads: &Reads) -> Result<Bytes, GetError> {
        let _permit = reads.gets().permit().await;
        reads.add(Read::Gets, 1);

        let range = get.range();
        let bytes = match &self.hedges {
            Some(hedges) => {
                let length = range.end - range.start;
                hedges.race(length, reads, || get.send()).await?
            }
            None => get.send().await?,
        };

        reads.add(Read::GetBytes, bytes.len() as u64);

        Ok(bytes)
    }
}
