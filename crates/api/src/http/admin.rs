//! What operators ask for and are told: [`flush`] of heads, [`settings`] and limits, [`status`],
//! and the metrics of the process: read by [`metrics_page`], as JSON in [`self_metrics`].

pub(crate) mod flush;
pub(crate) mod metrics_page;
pub(crate) mod self_metrics;
pub(crate) mod settings;
pub(crate) mod status;
