//! The settings of the process, and the limits of the tenant that asks.

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

/// Answers with the settings of the process as YAML, secrets hidden.
pub(crate) async fn page(State(state): State<Arc<ProcessState>>) -> Response {
    let yaml = HeaderValue::from_static("application/yaml");
    ([(header::CONTENT_TYPE, yaml)], state.config_yaml.clone()).into_response()
}

/// Answers with the settings as YAML in the envelope of Prometheus.
pub(crate) async fn config(State(state): State<Arc<ProcessState>>) -> Response {
    success(&json!({ "yaml": state.config_yaml }), &[])
}

/// Answers with the settings by the names of their flags.
pub(crate) async fn flags(State(state): State<Arc<ProcessState>>) -> Response {
    success(&json!(state.flags), &[])
}

/// Answers with the limits of the tenant that asks. Durations and sizes have their units.
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

/// Reads the limits file again. Answers 200 when the new limits are in force. Answers 500 with the
/// faults of the file if the old limits stay.
///
/// The faults may name tenants. So with several tenants, only the operator sees them; others see
/// only that there are some.
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
