//! The settings of the edge. The server makes these from its configuration.

use std::time::Duration;

use duramen_model::TenantName;

/// How tenants are told apart, and who may see what.
#[derive(Clone, Debug)]
pub struct Tenancy {
    /// Whether requests name their tenant in a header. If not, all data belongs to `own_tenant`.
    pub is_multi: bool,
    /// The tenant of all data if `is_multi` is off, and otherwise the tenant of the process's own
    /// metrics.
    pub own_tenant: TenantName,
    /// Whether every tenant sees the metrics that tell of all tenants.
    pub metrics_all: bool,
}

/// How bodies of requests are read.
#[derive(Clone, Debug)]
pub struct BodyBounds {
    /// The memory for bodies of writes while they are read.
    pub writes_bytes_max: usize,
    /// The longest time in which a body may arrive.
    pub read_max: Duration,
    /// The least average rate of a body.
    pub bytes_per_second_min: usize,
    /// The longest time that a body waits for room, in all.
    pub wait_max: Duration,
}

/// The limits of connections.
#[derive(Clone, Debug)]
pub struct ConnectionBounds {
    /// The most open connections; `None` for as many as the system has file descriptors for.
    pub connections_max: Option<usize>,
    /// The longest time in which a client may take nothing of its answer before it is cut off.
    pub answer_stall_max: Duration,
    /// The longest time that an answer may wait for its client, in all.
    pub answer_write_max: Duration,
    /// The longest time that requests in work may take to end after a stop.
    pub stop_wait_max: Duration,
}
