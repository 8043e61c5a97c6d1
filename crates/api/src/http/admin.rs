//! What operators ask for and are told: [`flush`] of heads, [`settings`] and limits, [`status`],
//! and the metrics of the process: as text in [`metrics_page`], read back by [`metric_lines`], as
//! JSON in [`self_metrics`].

pub(crate) mod flush;
pub(crate) mod metric_lines;
pub(crate) mod metrics_page;
pub(crate) mod self_metrics;
pub(crate) mod settings;
pub(crate) mod status;
