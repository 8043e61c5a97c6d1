//! What is set for the edge. Whoever puts a process together makes these of its settings.

use std::time::Duration;

use duramen_model::TenantName;

/// How tenants are told apart, and who sees what of whom.
#[derive(Clone, Debug)]
pub struct Tenancy {
    /// Whether requests name their tenant in a header. If not, everything is `own_tenant`.
    pub is_multi: bool,
    /// Everything's tenant without a header, else the tenant of the process's own metrics.
    pub own_tenant: TenantName,
    /// Whether everybody sees the metrics of the process that tell of all tenants.
    pub metrics_all: bool,
}

/// How bodies of requests are read.
#[derive(Clone, Debug)]
pub struct BodyBounds {
    /// Memory for the bodies of writes while they are read.
    pub writes_bytes_max: usize,
    /// How long a body may take to come.
    pub read_max: Duration,
    /// What a body must bring in each second, on average.
    pub bytes_per_second_min: usize,
    /// How long a body may wait for room, in all.
    pub wait_max: Duration,
}

/// How connections are kept.
#[derive(Clone, Debug)]
pub struct ConnectionBounds {
    /// How many may be open; without it as many as the system has descriptors for.
    pub connections_max: Option<usize>,
    /// A client that takes nothing of its answer for so long is cut off.
    pub answer_stall_max: Duration,
    /// How long an answer may wait for its client in all.
    pub answer_write_max: Duration,
    /// How long requests in work may take to end at a stop.
    pub stop_wait_max: Duration,
}
