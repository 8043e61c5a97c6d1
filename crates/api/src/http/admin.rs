//! Routes about the process and its data: [`deletions`], the [`flush`] of heads, [`settings`] and
//! limits, the [`status`], the [`tenants`], and the metrics of the process, which [`metrics_page`] reads and
//! [`self_metrics`] answers as JSON.

pub(crate) mod deletions;
pub(crate) mod flush;
pub(crate) mod metrics_page;
pub(crate) mod self_metrics;
pub(crate) mod settings;
pub(crate) mod snapshots;
pub(crate) mod status;
pub(crate) mod tenants;
