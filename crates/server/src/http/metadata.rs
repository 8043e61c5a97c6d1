//! `labels`, label values and `series`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use duramen_model::Matcher;
use duramen_query::Querier;
use serde_json::Value as Json;

use super::answer::{TRUNCATED, labels_json, success};
use super::failure::Failure;
use super::params::Params;
use super::tenant::Tenant;
use crate::wiring::System;

pub(super) async fn labels(
    State(system): State<Arc<System>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    let (limit, range) = (params.limit()?, params.range()?);
    let selectors = selectors(&params).map_err(|fault| Failure::bad_data(fault.to_string()))?;
    let Some(range) = range else { return Ok(listed(Json::Array(Vec::new()), false)) };
    let querier = Arc::clone(&system.querier);
    let work = async move { querier.label_names(&tenant, &selectors, range, limit).await };
    let (names, more) = system.query_runtime.run(work).await.map_err(|e| Failure::internal(e.to_string()))??;
    Ok(listed(names.into(), more))
}

pub(super) async fn label_values(
    State(system): State<Arc<System>>,
    Tenant(tenant): Tenant,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, Failure> {
    if name.is_empty() {
        return Err(Failure::bad_data("invalid label name: \"\""));
    }
    let name = unescape(&name).unwrap_or(name);
    let (limit, range) = (params.limit()?, params.range()?);
    let selectors = selectors(&params).map_err(|fault| Failure::bad_data(fault.to_string()))?;
    let Some(range) = range else { return Ok(listed(Json::Array(Vec::new()), false)) };
    let querier = Arc::clone(&system.querier);
    let work = async move { querier.label_values(&tenant, &name, &selectors, range, limit).await };
    let (values, more) = system.query_runtime.run(work).await.map_err(|e| Failure::internal(e.to_string()))??;
    Ok(listed(values.into(), more))
}

pub(super) async fn series(
    State(system): State<Arc<System>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    if params.all("match[]").next().is_none() {
        return Err(Failure::bad_data("no match[] parameter provided"));
    }
    let (limit, range) = (params.limit()?, params.range()?);
    let selectors = selectors(&params).map_err(|fault| Failure::parameter("match[]", fault))?;
    let Some(range) = range else { return Ok(listed(Json::Array(Vec::new()), false)) };
    let querier = Arc::clone(&system.querier);
    let work = async move { querier.series(&tenant, &selectors, range, limit).await };
    let (series, more) = system.query_runtime.run(work).await.map_err(|e| Failure::internal(e.to_string()))??;
    Ok(listed(series.iter().map(labels_json).collect(), more))
}

fn listed(data: Json, more: bool) -> Response {
    let warnings = if more { vec![TRUNCATED.to_owned()] } else { Vec::new() };
    success(&data, &warnings)
}

fn selectors(params: &Params) -> Result<Vec<Vec<Matcher>>, duramen_query::Error> {
    params.all("match[]").map(Querier::parse_selector).collect()
}

/// A label name behind `U__`: `__` is `_`, `_<hex>_` a character, the rest as it is. `None` when the text is not of this form.
fn unescape(text: &str) -> Option<String> {
    let mut rest = text.strip_prefix("U__")?;
    let mut name = String::new();
    while let Some(at) = rest.find('_') {
        name.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('_') {
            name.push('_');
            rest = behind;
            continue;
        }
        let (hex, behind) = rest.split_once('_')?;
        name.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?);
        rest = behind;
    }
    name.push_str(rest);
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_label_names_are_read() {
        for (text, expected) in [
            ("U__a_2e_b", Some("a.b")),
            ("U__a__b", Some("a_b")),
            ("U___1f600_", Some("\u{1f600}")),
            ("U__a_zz_", None),
            ("job", None),
        ] {
            assert_eq!(unescape(text).as_deref(), expected, "{text}");
        }
    }
}
