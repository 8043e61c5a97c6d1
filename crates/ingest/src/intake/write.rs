//! A write between its body and its head.

use std::sync::Arc;

use duramen_limits::Limits;
use duramen_proto::WriteRequest;

use super::duplicates::Duplicates;
use super::ha::Gate;
use crate::permit::MemoryPermit;

/// A request that was decoded or built, and the memory that it takes.
#[derive(Debug)]
pub struct DecodedWrite<'a> {
    pub(super) request: WriteRequest<'a>,
    pub(super) permit: MemoryPermit,
}

/// A request that a head may take: its tenant may send so much, and it is known which of its series
/// come from replicas that are not elected.
#[derive(Debug)]
pub struct GatedWrite<'a> {
    pub(crate) request: WriteRequest<'a>,
    pub(crate) gate: Gate,
    pub(crate) duplicates: Duplicates,
    /// Those of the tenant when the request came.
    pub(crate) limits: Arc<Limits>,
    pub(crate) permit: MemoryPermit,
}

impl<'a> DecodedWrite<'a> {
    /// A request that was built. The permit is for about as many bytes as the message of the
    /// request would have.
    pub const fn built(permit: MemoryPermit, request: WriteRequest<'a>) -> Self {
        Self { request, permit }
    }

    /// Whether it brings nothing at all, not even anything to reject.
    pub const fn is_empty(&self) -> bool {
        let request = &self.request;
        request.series.is_empty() && request.metadata.is_empty() && request.refused.is_empty()
    }
}

impl<'a> GatedWrite<'a> {
    pub const fn request(&self) -> &WriteRequest<'a> {
        &self.request
    }

    /// What is left out since another replica of the cluster is elected.
    pub const fn duplicates(&self) -> Duplicates {
        self.duplicates
    }
}
