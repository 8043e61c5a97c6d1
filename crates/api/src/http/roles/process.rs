//! The routes that every process has, whatever its roles.

use std::sync::Arc;

use crate::http::admin::{self_metrics, settings, status};
use crate::http::docs::endpoint::Answer::{Data, Json, Raw};
use crate::http::docs::endpoint::{Endpoint, TEXT, on_get, on_post_put};
use crate::http::docs::openapi::schemas::Schema;
use crate::http::docs::parameter_docs::METRIC_PATTERN;
use crate::http::roles::state::process::ProcessState;

/// The routes about what the process is and does.
pub(crate) fn about() -> Vec<Endpoint<Arc<ProcessState>>> {
    vec![
        on_get("/api/v1/status/buildinfo", status::buildinfo)
            .says("The version of Prometheus whose API this is, and the build.")
            .answers(Data(Schema::BuildInfo)),
        on_get("/api/v1/status/runtimeinfo", status::runtime_info)
            .says("When and where the process was started.")
            .answers(Data(Schema::RuntimeInfo)),
        on_get("/api/v1/status/flags", settings::flags)
            .says("The flags of the process with their values as texts, secrets hidden.")
            .answers(Data(Schema::Flags)),
        on_get("/api/v1/status/self_metrics", self_metrics::families)
            .says(
                "The metrics of the process, as JSON. With several tenants, only those of no \
                 tenant and of the tenant that asks.",
            )
            .takes(&[METRIC_PATTERN])
            .answers(Data(Schema::SelfMetrics)),
        on_get("/api/v1/status/walreplay", status::wal_replay)
            .says("The state of the log's replay: done.")
            .answers(Data(Schema::WalReplay)),
        on_get("/api/v1/features", status::features)
            .says("What a client may use, by area.")
            .answers(Data(Schema::Features)),
    ]
}

/// The routes about settings and limits.
pub(crate) fn settings() -> Vec<Endpoint<Arc<ProcessState>>> {
    vec![
        on_get("/api/v1/status/config", settings::config)
            .says("The settings of the process with their origins, secrets hidden.")
            .answers(Data(Schema::Config)),
        on_get("/config", settings::page)
            .says("As `/api/v1/status/config`, without the envelope.")
            .answers(Raw("application/yaml")),
        on_get("/api/v1/limits", settings::limits)
            .says("The tenant's limits, and which part of the limits file set each.")
            .answers(Data(Schema::Limits)),
        on_get("/api/v1/user_limits", settings::limits)
            .says("As `/api/v1/limits`.")
            .answers(Data(Schema::Limits)),
        on_post_put("/-/reload", settings::reload)
            .says("Reads the limits file again; answers 500 if it has faults.")
            .answers(Raw(TEXT)),
    ]
}

/// The routes about health, and the index.
pub(crate) fn probes() -> Vec<Endpoint<Arc<ProcessState>>> {
    vec![
        on_get("/", status::index)
            .says("An overview of the main pages.")
            .answers(Raw(TEXT)),
        on_get("/version", status::version)
            .says("As `/api/v1/status/buildinfo`, without the envelope.")
            .answers(Json(Schema::BuildInfo)),
        on_get("/metrics", status::metrics)
            .says(
                "The metrics of the process. With several tenants, only those of no tenant and \
                 of the tenant that asks.",
            )
            .answers(Raw("application/openmetrics-text")),
        on_get("/-/healthy", status::healthy)
            .says("Whether the process is alive.")
            .answers(Raw(TEXT)),
        on_get("/healthz", status::healthy)
            .says("As `/-/healthy`.")
            .answers(Raw(TEXT)),
        on_get("/-/ready", status::ready)
            .says("Whether requests are answered.")
            .answers(Raw(TEXT)),
        on_get("/ready", status::ready)
            .says("As `/-/ready`.")
            .answers(Raw(TEXT)),
    ]
}
