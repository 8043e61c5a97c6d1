//! What is set: for the process, and for the tenant that asks.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::answer::success;
use super::tenant::Tenant;
use super::viewer::Viewer;
use crate::wiring::System;

/// The settings of the process as YAML, secrets hidden.
pub(super) async fn page(State(system): State<Arc<System>>) -> Response {
    let yaml = HeaderValue::from_static("application/yaml");
    (
        [(header::CONTENT_TYPE, yaml)],
        system.config_yaml().to_owned(),
    )
        .into_response()
}

/// The same as Prometheus answers it.
pub(super) async fn config(State(system): State<Arc<System>>) -> Response {
    success(&json!({ "yaml": system.config_yaml() }), &[])
}

/// The same by the names of the flags.
pub(super) async fn flags(State(system): State<Arc<System>>) -> Response {
    success(&json!(system.config.flags()), &[])
}

/// What applies to the tenant that asks; durations and sizes have their units.
pub(super) async fn limits(State(system): State<Arc<System>>, Tenant(tenant): Tenant) -> Response {
    let effective = system
        .limits
        .effective(&tenant, &system.live_limits.built_in);
    let limits = &*effective.limits;
    let overridden = &effective.overridden;

    success(
        &json!({ "tenant": tenant, "limits": limits, "overridden": overridden }),
        &[],
    )
}

/// Reads the limits file again: 200 when it is in force, 500 with its faults when what was in force
/// stays.
///
/// The faults may name tenants, so that with several of them only the operator is told more than
/// that there are some.
pub(super) async fn reload(State(system): State<Arc<System>>, viewer: Viewer) -> Response {
    match system.live_limits.reload().await {
        Ok(()) => "".into_response(),
        Err(_) if viewer != Viewer::Operator => {
            let text = "failed to reload config: the log of the process has the faults\n";
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("failed to reload config: {error:#}\n"),
        )
            .into_response(),
    }
}
