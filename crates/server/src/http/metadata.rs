//! `labels`, label values, `series`, and what is known of metric families.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::Response;
use duramen_model::quoted::quote_bytes;
use duramen_model::{FamilyMetadata, Matcher};
use duramen_query::Querier;
use percent_encoding::percent_decode_str;
use serde_json::{Value as Json, json};

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
    let (names, more) = system.querier.label_names(&tenant, &selectors, range, limit).await?;
    Ok(listed(names.into(), more))
}

pub(super) async fn label_values(
    State(system): State<Arc<System>>,
    Tenant(tenant): Tenant,
    LabelName(name): LabelName,
    params: Params,
) -> Result<Response, Failure> {
    let (limit, range) = (params.limit()?, params.range()?);
    let selectors = selectors(&params).map_err(|fault| Failure::bad_data(fault.to_string()))?;
    let Some(range) = range else { return Ok(listed(Json::Array(Vec::new()), false)) };
    let (values, more) = system.querier.label_values(&tenant, &name, &selectors, range, limit).await?;
    Ok(listed(values.into(), more))
}

/// The name of a label in a path.
#[derive(Debug)]
pub(super) struct LabelName(String);

impl<S: Sync> FromRequestParts<S> for LabelName {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        let path = parts.uri.path();
        let encoded = path.split_once("/label/").and_then(|(_, rest)| rest.strip_suffix("/values"));
        let bytes: Vec<u8> = percent_decode_str(encoded.unwrap_or_default()).collect();
        let invalid = |bytes: &[u8]| Failure::bad_data(format!("invalid label name: {}", quote_bytes(bytes)));
        let name = String::from_utf8(bytes).map_err(|error| invalid(error.as_bytes()))?;
        let name = unescape(&name).unwrap_or(name);
        if name.is_empty() { Err(invalid(b"")) } else { Ok(Self(name)) }
    }
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
    let (series, more) = system.querier.series(&tenant, &selectors, range, limit).await?;
    Ok(listed(series.iter().map(labels_json).collect(), more))
}

/// The metric families: of each the type, help and unit that were sent last. A `limit` of 0 is none, a negative one all.
pub(super) async fn families(
    State(system): State<Arc<System>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    let limit = params.integer("limit")?.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    // One entry is known of each family, which is within every limit but the 0 that stands for no limit.
    params.integer("limit_per_metric")?;
    let metric = params.given("metric").map(str::to_owned);
    let families = system.querier.metadata(&tenant).await?;
    let wanted = families.iter().filter(|family| metric.as_ref().is_none_or(|name| *name == family.family));
    let entry = |family: &FamilyMetadata| {
        let entry = json!({ "type": family.kind.as_str(), "help": family.help, "unit": family.unit });
        (family.family.clone(), json!([entry]))
    };
    let data: serde_json::Map<String, Json> = wanted.take(limit).map(entry).collect();
    Ok(success(&data.into(), &[]))
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
