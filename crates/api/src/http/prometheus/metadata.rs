//! The routes for series, labels and their values, and the metadata of metric families.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::Response;
use duramen_model::quoted::quote_bytes;
use duramen_model::{FamilyMetadata, Labels};
use duramen_query::{Listed, Listing, Partial};
use percent_encoding::percent_decode_str;
use serde_json::{Value as Json, json};

use crate::http::answer::envelope::{TRUNCATED, list, object, success};
use crate::http::answer::failure::Failure;
use crate::http::answer::json::{labels_json, put_json, put_text};
use crate::http::answer::pieces::{Document, List};
use crate::http::request::form::Params;
use crate::http::request::tenant::Tenant;
use crate::http::roles::state::querier::QuerierState;

pub(crate) async fn labels(
    State(state): State<Arc<QuerierState>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    let Some(listing) = listing(&params)? else {
        return Ok(success(&json!([]), &[]));
    };

    let names = state.querier.label_names(&tenant, listing);
    let (names, turn) = names.await.map_err(unnamed)?.into_parts();
    texts(names).respond(state.recipient(&tenant), turn)
}

pub(crate) async fn label_values(
    State(state): State<Arc<QuerierState>>,
    Tenant(tenant): Tenant,
    LabelName(name): LabelName,
    params: Params,
) -> Result<Response, Failure> {
    let Some(listing) = listing(&params)? else {
        return Ok(success(&json!([]), &[]));
    };

    let values = state.querier.label_values(&tenant, &name, listing);
    let (values, turn) = values.await.map_err(unnamed)?.into_parts();
    texts(values).respond(state.recipient(&tenant), turn)
}

/// The name of a label in a path.
#[derive(Debug)]
pub(crate) struct LabelName(String);

impl<S: Sync> FromRequestParts<S> for LabelName {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        let path = parts.uri.path();
        let encoded = path
            .split_once("/label/")
            .and_then(|(_, rest)| rest.strip_suffix("/values"));
        let bytes: Vec<u8> = percent_decode_str(encoded.unwrap_or_default()).collect();
        let invalid =
            |bytes: &[u8]| Failure::bad_data(format!("invalid label name: {}", quote_bytes(bytes)));
        let name = String::from_utf8(bytes).map_err(|error| invalid(error.as_bytes()))?;
        let name = unescape(&name).unwrap_or(name);

        if name.is_empty() {
            Err(invalid(b""))
        } else {
            Ok(Self(name))
        }
    }
}

pub(crate) async fn series(
    State(state): State<Arc<QuerierState>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    if params.all("match[]").next().is_none() {
        return Err(Failure::bad_data("no match[] parameter provided"));
    }

    let Some(listing) = listing(&params)? else {
        return Ok(success(&json!([]), &[]));
    };

    let found = state.querier.series(&tenant, listing).await;
    let found = found.map_err(|error| Failure::of_selectors("match[]", error))?;
    let (Partial { value, left_out }, turn) = found.into_parts();
    let (series, is_cut) = value;
    let put = |out: &mut Vec<u8>, labels: &Labels| put_json(out, &labels_json(labels));
    let bytes = series.first().map_or(0, |first| first.encoded().len());
    let series = List::new(series, size_of::<Labels>() + bytes, put);

    list(series, &left_out, &truncation(is_cut)).respond(state.recipient(&tenant), turn)
}

/// Answers with the type, help and unit that were sent last for each metric family. A `limit` of 0
/// means none, and a negative one means all.
pub(crate) async fn families(
    State(state): State<Arc<QuerierState>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    let limit = params.integer("limit")?.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });

    // Each family has one entry. That is within every limit, and 0 means no limit.
    params.integer("limit_per_metric")?;

    let metric = params.given("metric").map(str::to_owned);
    let families = state.querier.metadata(&tenant, params.as_of()?).await?;
    let (mut families, turn) = families.into_parts();
    families.retain(|family| metric.as_ref().is_none_or(|name| *name == family.family));
    families.truncate(limit);

    let bytes = families
        .iter()
        .map(|family| family.family.len() + family.help.len() + family.unit.len())
        .sum::<usize>();

    let bytes = size_of::<FamilyMetadata>() + bytes.checked_div(families.len()).unwrap_or(0);
    let put = |out: &mut Vec<u8>, family: &FamilyMetadata| {
        put_json(out, &Json::from(family.family.as_str()));
        out.push(b':');
        put_json(
            out,
            &json!([{ "type": family.kind.as_str(), "help": family.help, "unit": family.unit }]),
        );
    };

    object(List::new(families, bytes, put)).respond(state.recipient(&tenant), turn)
}

/// Returns an error that does not name a parameter, as Prometheus does it here.
fn unnamed(error: duramen_query::Error) -> Failure {
    match error {
        duramen_query::Error::Parse(error) => Failure::bad_data(error.to_string()),
        other => other.into(),
    }
}

/// Returns what a request lists, or `None` if its range is empty; the answer is empty then.
fn listing(params: &Params) -> Result<Option<Listing>, Failure> {
    let limit = params.limit()?;
    let range = params.range()?;
    let partial_response = params.partial_response()?;
    let as_of = params.as_of()?;

    Ok(range.map(|range| Listing {
        selectors: params.all("match[]").map(str::to_owned).collect(),
        range,
        limit,
        partial_response,
        as_of,
    }))
}

fn texts(listed: Partial<Listed<String>>) -> Document<List<String>> {
    let Partial { value, left_out } = listed;
    let (texts, is_cut) = value;
    let bytes = texts.first().map_or(0, String::len);
    list(
        List::new(texts, size_of::<String>() + bytes, |out, text| {
            put_text(out, text)
        }),
        &left_out,
        &truncation(is_cut),
    )
}

fn truncation(is_cut: bool) -> Vec<String> {
    if is_cut {
        vec![TRUNCATED.to_owned()]
    } else {
        Vec::new()
    }
}

/// Decodes a label name after `U__`: `__` is `_`, `_<hex>_` is a character, and the rest stays as
/// it is. Returns `None` if the text is not of this form.
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
