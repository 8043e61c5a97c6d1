//! What is set: for the process, and for the tenant that asks.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::http::answer::envelope::success;
use crate::http::answer::failure::with_causes;
use crate::http::request::tenant::Tenant;
use crate::http::request::viewer::Viewer;
use crate::http::roles::state::process::ProcessState;

/// The settings of the process as YAML, secrets hidden.
pub(crate) async fn page(State(state): State<Arc<ProcessState>>) -> Response {
    let yaml = HeaderValue::from_static("application/yaml");
    ([(header::CONTENT_TYPE, yaml)], state.config_yaml.clone()).into_response()
}

/// The same as Prometheus answers it.
pub(crate) async fn config(State(state): State<Arc<ProcessState>>) -> Response {
    success(&json!({ "yaml": state.config_yaml }), &[])
}

/// The same by the names of the flags.
pub(crate) async fn flags(State(state): State<Arc<ProcessState>>) -> Response {
    success(&json!(state.flags), &[])
}

/// What applies to the tenant that asks; durations and sizes have their units.
pub(crate) async fn limits(
    State(state): State<Arc<ProcessState>>,
    Tenant(tenant): Tenant,
) -> Response {
    let effective = state.limits.effective(&tenant);
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
pub(crate) async fn reload(State(state): State<Arc<ProcessState>>, viewer: Viewer) -> Response {
    match state.limits.reload().await {
        Ok(()) => "".into_response(),
        Err(_) if viewer != Viewer::Operator => {
            let text = "failed to reload config: the log of the process has the faults\n";
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("failed to reload config: {}\n", with_causes(&error)),
        )
            .into_response(),
    }
}
