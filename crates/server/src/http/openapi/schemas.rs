//! The shapes of answers, as JSON Schema.

use serde_json::{Value as Json, json};

/// A shape that has a name in the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::http) enum Schema {
    Alertmanagers,
    Alerts,
    BuildInfo,
    Names,
    Notifications,
    QueryData,
    Rules,
    ScrapePools,
    SeriesList,
    TargetMetadata,
    Targets,
    Text,
    Tree,
}

impl Schema {
    /// All of them, for the list of components.
    pub(super) const ALL: &[Self] = &[
        Self::Alertmanagers,
        Self::Alerts,
        Self::BuildInfo,
        Self::Names,
        Self::Notifications,
        Self::QueryData,
        Self::Rules,
        Self::ScrapePools,
        Self::SeriesList,
        Self::TargetMetadata,
        Self::Targets,
        Self::Text,
        Self::Tree,
    ];

    pub(super) fn name(self) -> String {
        format!("{self:?}")
    }

    /// Where it stands in the document.
    pub(super) fn reference(self) -> Json {
        json!({ "$ref": format!("#/components/schemas/{}", self.name()) })
    }

    pub(super) fn json(self) -> Json {
        match self {
            Self::Alertmanagers => {
                let url = list(object(&[("url", text())]));
                object(&[("activeAlertmanagers", url.clone()), ("droppedAlertmanagers", url)])
            }
            Self::Alerts => object(&[("alerts", list(any_object()))]),
            Self::BuildInfo => map(text()),
            Self::Names => list(text()),
            Self::Notifications => list(any_object()),
            Self::QueryData => query_data(),
            Self::Rules => object(&[("groups", list(any_object()))]),
            Self::ScrapePools => object(&[("scrapePools", list(text()))]),
            Self::SeriesList => list(map(text())),
            Self::TargetMetadata => list(any_object()),
            Self::Targets => object(&[
                ("activeTargets", list(any_object())),
                ("droppedTargets", list(any_object())),
                ("droppedTargetCounts", json!({ "type": ["object", "null"] })),
            ]),
            Self::Text => text(),
            Self::Tree => json!({
                "type": "object",
                "required": ["type"],
                "properties": { "type": { "type": "string" } },
            }),
        }
    }
}

/// The envelope of a success around `data`.
pub(super) fn envelope(data: &Json) -> Json {
    json!({
        "type": "object",
        "required": ["status", "data"],
        "additionalProperties": false,
        "properties": {
            "status": { "const": "success" },
            "data": data,
            "warnings": list(text()),
            "infos": list(text()),
        },
    })
}

/// The envelope of an error.
pub(super) fn error() -> Json {
    let types = [
        "bad_data",
        "canceled",
        "execution",
        "internal",
        "not_acceptable",
        "not_found",
        "timeout",
        "unauthorized",
        "unavailable",
    ];
    json!({
        "type": "object",
        "required": ["status", "errorType", "error"],
        "additionalProperties": false,
        "properties": {
            "status": { "const": "error" },
            "errorType": { "enum": types },
            "error": { "type": "string" },
        },
    })
}

fn query_data() -> Json {
    let point = json!({ "type": "array", "prefixItems": [{ "type": "number" }, text()], "minItems": 2, "maxItems": 2 });
    let at = |what: &Json| json!({ "type": "array", "prefixItems": [{ "type": "number" }, what], "minItems": 2, "maxItems": 2 });
    let bucket = json!({
        "type": "array",
        "prefixItems": [{ "type": "integer", "minimum": 0, "maximum": 3 }, text(), text(), text()],
        "minItems": 4,
        "maxItems": 4,
    });
    let histogram = json!({
        "type": "object",
        "required": ["count", "sum"],
        "properties": { "count": text(), "sum": text(), "buckets": list(bucket) },
    });
    let series = |points: Json| json!({ "type": "object", "required": ["metric"], "additionalProperties": false, "properties": points });
    let vector = series(json!({ "metric": map(text()), "value": point, "histogram": at(&histogram) }));
    let matrix =
        series(json!({ "metric": map(text()), "values": list(point.clone()), "histograms": list(at(&histogram)) }));
    let of = |kind: &str, result: Json| {
        json!({
            "type": "object",
            "required": ["resultType", "result"],
            "additionalProperties": false,
            "properties": { "resultType": { "const": kind }, "result": result, "stats": any_object() },
        })
    };
    json!({ "oneOf": [of("vector", list(vector)), of("matrix", list(matrix)), of("scalar", point.clone()), of("string", point)] })
}

fn text() -> Json {
    json!({ "type": "string" })
}

fn list(items: Json) -> Json {
    json!({ "type": "array", "items": items })
}

fn map(values: Json) -> Json {
    json!({ "type": "object", "additionalProperties": values })
}

fn any_object() -> Json {
    json!({ "type": "object" })
}

/// An object with exactly these members.
fn object(members: &[(&str, Json)]) -> Json {
    let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    let properties: serde_json::Map<_, _> = members.iter().map(|(name, of)| ((*name).to_owned(), of.clone())).collect();
    json!({ "type": "object", "required": names, "additionalProperties": false, "properties": properties })
}
