//! The shapes of answers, as JSON Schema.

use serde_json::{Value as Json, json};

/// A shape that has a name in the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Schema {
    ActiveSeries,
    Alertmanagers,
    Alerts,
    Blocks,
    BuildInfo,
    Deletion,
    Deletions,
    Exemplars,
    Explained,
    Families,
    Flags,
    LabelNamesCardinality,
    LabelValuesCardinality,
    MetricStatus,
    Features,
    Config,
    Limits,
    Names,
    Notifications,
    QueryData,
    Rules,
    RuntimeInfo,
    ScrapePools,
    SelfMetrics,
    SeriesList,
    Snapshot,
    Snapshots,
    TargetMetadata,
    Targets,
    Tenant,
    Tenants,
    DeletedTenant,
    Text,
    Tree,
    TsdbStatus,
    WalReplay,
}

impl Schema {
    /// All shapes, for the list of components.
    pub(super) const ALL: &[Self] = &[
        Self::ActiveSeries,
        Self::Alertmanagers,
        Self::Alerts,
        Self::Blocks,
        Self::BuildInfo,
        Self::Deletion,
        Self::Deletions,
        Self::Exemplars,
        Self::Explained,
        Self::Families,
        Self::Flags,
        Self::LabelNamesCardinality,
        Self::LabelValuesCardinality,
        Self::MetricStatus,
        Self::Features,
        Self::Config,
        Self::Limits,
        Self::Names,
        Self::Notifications,
        Self::QueryData,
        Self::Rules,
        Self::RuntimeInfo,
        Self::ScrapePools,
        Self::SelfMetrics,
        Self::SeriesList,
        Self::Snapshot,
        Self::Snapshots,
        Self::TargetMetadata,
        Self::Targets,
        Self::Tenant,
        Self::Tenants,
        Self::DeletedTenant,
        Self::Text,
        Self::Tree,
        Self::TsdbStatus,
        Self::WalReplay,
    ];

    pub(super) fn name(self) -> String {
        format!("{self:?}")
    }

    /// Returns a reference to the shape in the document.
    pub(super) fn reference(self) -> Json {
        json!({ "$ref": format!("#/components/schemas/{}", self.name()) })
    }

    pub(super) fn json(self) -> Json {
        match self {
            Self::ActiveSeries => object(&[("data", list(map(text())))]),
            Self::Alertmanagers => {
                let url = list(object(&[("url", text())]));
                object(&[
                    ("activeAlertmanagers", url.clone()),
                    ("droppedAlertmanagers", url),
                ])
            }
            Self::Alerts => object(&[("alerts", list(any_object()))]),
            Self::Blocks => blocks(),
            Self::Deletion => deletion(),
            Self::Tenants => {
                let tenant = tenant();
                let deleted = object(&deleted_tenant());
                object(&[("tenants", list(tenant)), ("deleted", list(deleted))])
            }
            Self::Tenant => tenant(),
            Self::DeletedTenant => {
                let left = object(&[("objects", integer()), ("bytes", integer())]);
                object(&[&deleted_tenant()[..], &[("left", left)]].concat())
            }
            Self::Snapshot => snapshot(),
            Self::Snapshots => object(&[("snapshots", list(snapshot()))]),
            Self::Deletions => object(&[("deletions", list(deletion()))]),
            Self::BuildInfo | Self::Flags => map(text()),
            Self::Exemplars => {
                let exemplar = object(&[
                    ("labels", map(text())),
                    ("value", text()),
                    ("timestamp", number()),
                ]);

                list(object(&[
                    ("seriesLabels", map(text())),
                    ("exemplars", list(exemplar)),
                ]))
            }
            Self::Explained => explained(),
            Self::Families => map(list(object(&[
                ("type", text()),
                ("help", text()),
                ("unit", text()),
            ]))),
            Self::LabelNamesCardinality => {
                let name = object(&[("label_name", text()), ("label_values_count", integer())]);
                let totals = [
                    ("label_values_count_total", integer()),
                    ("label_names_count", integer()),
                ];

                object(&[&totals[..], &[("cardinality", list(name))]].concat())
            }
            Self::LabelValuesCardinality => {
                let value = object(&[("label_value", text()), ("series_count", integer())]);
                let label = object(&[
                    ("label_name", text()),
                    ("label_values_count", integer()),
                    ("series_count", integer()),
                    ("cardinality", list(value)),
                ]);

                object(&[("series_count_total", integer()), ("labels", list(label))])
            }
            Self::MetricStatus => metric_status(),
            Self::Features => map(map(json!({ "type": "boolean" }))),
            Self::Config => object(&[("yaml", text())]),
            Self::Limits => object(&[
                ("tenant", text()),
                ("limits", any_object()),
                ("overridden", map(text())),
            ]),
            Self::Names => list(text()),
            Self::Notifications => list(any_object()),
            Self::QueryData => query_data(),
            Self::Rules => object(&[("groups", list(any_object()))]),
            Self::RuntimeInfo => any_object(),
            Self::ScrapePools => object(&[("scrapePools", list(text()))]),
            Self::SelfMetrics => {
                let members = [
                    ("name", text()),
                    ("help", text()),
                    ("type", text()),
                    ("metric", list(any_object())),
                ];

                list(object(&members))
            }
            Self::SeriesList => list(map(text())),
            Self::TargetMetadata => list(any_object()),
            Self::Targets => object(&[
                ("activeTargets", list(any_object())),
                ("droppedTargets", list(any_object())),
                ("droppedTargetCounts", json!({ "type": ["object", "null"] })),
            ]),
            Self::Text => text(),
            Self::TsdbStatus => tsdb_status(),
            Self::WalReplay => map(json!({ "type": "integer" })),
            Self::Tree => json!({
                "type": "object",
                "required": ["type"],
                "properties": { "type": { "type": "string" } },
            }),
        }
    }
}

/// Returns the envelope of a success around `data`.
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

/// Returns the envelope of an error.
pub(super) fn error() -> Json {
    let types = [
        "bad_data",
        "canceled",
        "execution",
        "forbidden",
        "internal",
        "not_acceptable",
        "not_found",
        "timeout",
        "too_many_requests",
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
    let vector =
        series(json!({ "metric": map(text()), "value": point, "histogram": at(&histogram) }));
    let matrix = series(
        json!({ "metric": map(text()), "values": list(point.clone()), "histograms": list(at(&histogram)) }),
    );

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

fn explained() -> Json {
    let reads = map(integer());
    let work = json!({
        "type": "object",
        "required": ["busySeconds", "rows", "batches", "bytes"],
        "additionalProperties": false,
        "properties": { "busySeconds": number(), "rows": integer(), "batches": integer(), "bytes": integer(), "reads": reads },
    });

    let operator = json!({
        "type": "object",
        "required": ["depth", "operator", "details"],
        "additionalProperties": false,
        "properties": { "depth": integer(), "operator": text(), "details": text(), "work": work },
    });

    json!({
        "type": "object",
        "required": ["operators"],
        "additionalProperties": false,
        "properties": { "operators": list(operator), "resultSeries": integer(), "stats": any_object() },
    })
}

fn tsdb_status() -> Json {
    let head = [
        "numSeries",
        "numLabelPairs",
        "chunkCount",
        "minTime",
        "maxTime",
    ]
    .map(|name| (name, integer()));

    let counts = [
        "seriesCountByMetricName",
        "labelValueCountByLabelName",
        "memoryInBytesByLabelName",
        "seriesCountByLabelValuePair",
    ];

    let count = object(&[("name", text()), ("value", integer())]);
    let lists = counts.map(|name| (name, list(count.clone())));
    object(&[&[("headStats", object(&head))], &lists[..]].concat())
}

fn blocks() -> Json {
    let stats = [
        "numSamples",
        "numFloatSamples",
        "numHistogramSamples",
        "numSeries",
        "numChunks",
    ];

    let block = [
        ("ulid", text()),
        ("minTime", integer()),
        ("maxTime", integer()),
        ("stats", object(&stats.map(|name| (name, integer())))),
        (
            "compaction",
            object(&[("level", integer()), ("sources", list(text()))]),
        ),
        ("version", integer()),
    ];

    object(&[("blocks", list(object(&block)))])
}

fn tenant() -> Json {
    object(&[("name", text()), ("id", text())])
}

fn deleted_tenant() -> [(&'static str, Json); 3] {
    [("id", text()), ("name", text()), ("deletedAt", number())]
}

fn snapshot() -> Json {
    object(&[("name", text()), ("sequence", integer())])
}

fn deletion() -> Json {
    let or_null = |of: &str| json!({ "type": [of, "null"] });

    let left = [
        ("logs", list(text())),
        ("blocksTotal", integer()),
        ("blocks", list(text())),
        ("objectsTotal", integer()),
        ("objects", list(text())),
        ("snapshots", list(text())),
    ];

    object(&[
        ("id", text()),
        ("selectors", list(text())),
        ("startMs", or_null("integer")),
        ("endMs", or_null("integer")),
        ("value", or_null("string")),
        ("author", text()),
        ("requestedMs", integer()),
        ("sequence", integer()),
        ("status", text()),
        ("goneMs", or_null("integer")),
        ("left", object(&left)),
    ])
}

fn metric_status() -> Json {
    let value = object(&[("value", text()), ("seriesCount", integer())]);
    let label = object(&[
        ("name", text()),
        ("seriesCount", integer()),
        ("valueCount", integer()),
        ("topValues", list(value)),
    ]);

    let counts = [
        "seriesCount",
        "seriesStarted",
        "seriesEnded",
        "sampleCount",
        "histogramCount",
        "labelCount",
    ]
    .map(|name| (name, integer()));

    let members = [
        ("metric", text()),
        ("start", number()),
        ("end", number()),
        ("labels", list(label)),
    ];

    object(&[&members[..], &counts].concat())
}

fn number() -> Json {
    json!({ "type": "number" })
}

fn integer() -> Json {
    json!({ "type": "integer" })
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

/// Returns an object with exactly these members.
fn object(members: &[(&str, Json)]) -> Json {
    let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    let properties: serde_json::Map<_, _> = members
        .iter()
        .map(|(name, of)| ((*name).to_owned(), of.clone()))
        .collect();

    json!({ "type": "object", "required": names, "additionalProperties": false, "properties": properties })
}
