//! A write between its body and its head.

use std::sync::Arc;

use duramen_limits::Limits;
use duramen_proto::WriteRequest;

use super::duplicates::Duplicates;
use super::ha::Gate;
use crate::permit::MemoryPermit;

/// A request that was decoded or built, with a permit for its memory.
#[derive(Debug)]
pub struct DecodedWrite<'a> {
    pub(super) request: WriteRequest<'a>,
    pub(super) permit: MemoryPermit,
}

/// A request for a head. Its tenant may send so many samples, and its gate knows which series come
/// from replicas that are not elected.
#[derive(Debug)]
pub struct GatedWrite<'a> {
    pub(crate) request: WriteRequest<'a>,
    pub(crate) gate: Gate,
    pub(crate) duplicates: Duplicates,
    /// The limits of the tenant at the time of the request.
    pub(crate) limits: Arc<Limits>,
    pub(crate) permit: MemoryPermit,
}

impl<'a> DecodedWrite<'a> {
    /// Wraps a request that was built, not decoded. The permit should cover about as many bytes as
    /// the encoded request would have.
    pub const fn built(permit: MemoryPermit, request: WriteRequest<'a>) -> Self {
        Self { request, permit }
    }

    /// Returns whether there is nothing to store and nothing to reject.
    pub const fn is_empty(&self) -> bool {
        let request = &self.request;
        request.series.is_empty() && request.metadata.is_empty() && request.refused.is_empty()
    }
}

impl<'a> GatedWrite<'a> {
    pub const fn request(&self) -> &WriteRequest<'a> {
        &self.request
    }

    /// Returns the count of samples that are left out because another replica is elected.
    pub const fn duplicates(&self) -> Duplicates {
        self.duplicates
    }
}
