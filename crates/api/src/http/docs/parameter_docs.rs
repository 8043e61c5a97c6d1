//! The parameters of the API, as the documents describe them.

use crate::http::docs::endpoint::{Kind, Parameter};

const fn optional(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter {
        name,
        kind,
        is_required: false,
        about,
    }
}

const fn required(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter {
        name,
        kind,
        is_required: true,
        about,
    }
}

const COUNT: Kind = Kind::Integer { min: 0 };

pub(crate) const QUERY: Parameter = required("query", Kind::Query, "A PromQL expression.");
pub(crate) const TIME: Parameter = optional(
    "time",
    Kind::Time,
    "The time of evaluation; the current time without it.",
);
pub(crate) const RANGE_START: Parameter = required("start", Kind::Time, "The first step.");
pub(crate) const RANGE_END: Parameter = required(
    "end",
    Kind::Time,
    "The end of the range; the last step is at or before it.",
);
pub(crate) const STEP: Parameter = required("step", Kind::Duration, "The time between two steps.");
pub(crate) const START: Parameter = optional(
    "start",
    Kind::Time,
    "The start of the range; unbounded without it.",
);
pub(crate) const END: Parameter = optional(
    "end",
    Kind::Time,
    "The end of the range, inclusive; unbounded without it.",
);
pub(crate) const TIMEOUT: Parameter = optional(
    "timeout",
    Kind::Duration,
    "The time-out; the time-out of the process still applies.",
);
pub(crate) const PARTIAL_RESPONSE: Parameter = optional(
    "partial_response",
    Kind::Choice(&["true", "false"]),
    "`true`: blocks that cannot be read are left out, and a warning names each; `false`: the query \
     fails with 503. The tenant's limits say what applies without it.",
);
pub(crate) const AS_OF: Parameter = optional(
    "as_of",
    Kind::Text,
    "A time, `seq:` and a sequence of the manifest, or `snapshot:` and a name: reads what the bucket \
     had then, without what \
     was deleted since. Samples that were not flushed then are not part of it. It goes back as far as \
     replaced blocks are kept (`compact.history`).",
);
pub(crate) const LIMIT: Parameter = optional(
    "limit",
    COUNT,
    "The most elements of the answer; 0 for all. A warning tells if the answer was cut.",
);
pub(crate) const LIMIT_NUMBER: Parameter = optional(
    "limit",
    Kind::Integer { min: -1 },
    "The most elements of the answer.",
);
pub(crate) const LOOKBACK_DELTA: Parameter = optional(
    "lookback_delta",
    Kind::Duration,
    "How far to look back for the newest sample of a series.",
);
pub(crate) const MAX_SOURCE_RESOLUTION: Parameter = optional(
    "max_source_resolution",
    Kind::Text,
    "The longest buckets of rollups that may be read in place of samples: a duration such as `5m` or \
     `1h`, `0s` for samples alone, or `auto` for any, also where they only approximate.",
);
pub(crate) const STATS: Parameter = optional(
    "stats",
    Kind::Choice(&["true", "all"]),
    "Adds times and counts of the evaluation to the answer; `all`: also for each step.",
);
pub(crate) const ANALYZE: Parameter = optional(
    "analyze",
    Kind::Choice(&["true", "false"]),
    "`true`: the query is evaluated.",
);
pub(crate) const EXPLAIN_FORMAT: Parameter = optional(
    "format",
    Kind::Choice(&["json", "text"]),
    "`text`: a line for each operator, without the envelope.",
);
pub(crate) const EXPLAIN_START: Parameter =
    optional("start", Kind::Time, "The first step of a range.");
pub(crate) const EXPLAIN_END: Parameter = optional(
    "end",
    Kind::Time,
    "The end of the range; the last step is at or before it.",
);
pub(crate) const EXPLAIN_STEP: Parameter =
    optional("step", Kind::Duration, "The time between two steps.");
pub(crate) const MATCH: Parameter = optional(
    "match[]",
    Kind::Selectors,
    "A selector of series. With several, a series must match one of them.",
);
pub(crate) const METRIC: Parameter = optional(
    "metric",
    Kind::Text,
    "A metric's name; all metrics without it.",
);
pub(crate) const RULE_TYPE: Parameter = optional(
    "type",
    Kind::Choice(&["alert", "record"]),
    "Both kinds without it.",
);
pub(crate) const TARGET_STATE: Parameter = optional(
    "state",
    Kind::Choice(&["active", "dropped", "any"]),
    "All states without it.",
);
pub(crate) const SCRAPE_POOL: Parameter =
    optional("scrapePool", Kind::Text, "All pools without it.");
pub(crate) const SCRAPE_POOL_NAME: Parameter =
    required("scrapePool", Kind::Text, "The name of a pool.");
pub(crate) const RELABELED: Parameter = required(
    "labels",
    Kind::Text,
    "The labels to relabel, as a JSON object.",
);
pub(crate) const METRIC_PATTERN: Parameter = optional(
    "metric_name_pattern",
    Kind::Text,
    "A regex over whole names; all metrics without it.",
);
pub(crate) const MATCH_TARGET: Parameter = optional(
    "match_target",
    Kind::Text,
    "A selector of targets by labels.",
);
pub(crate) const SNAPSHOT: Parameter = required(
    "name",
    Kind::Text,
    "The name of the snapshot: from 1 to 100 letters, digits and `-_.`.",
);
pub(crate) const TENANT_FROM: Parameter = required("from", Kind::Text, "The tenant's name.");
pub(crate) const TENANT_TO: Parameter =
    required("to", Kind::Text, "The new name, which no tenant has.");
pub(crate) const DELETED_TENANT: Parameter = required("name", Kind::Text, "The tenant's name.");
pub(crate) const DELETED: Parameter = required(
    "match[]",
    Kind::Selectors,
    "A selector of the series to delete. With several, a series must match one of them.",
);
pub(crate) const DELETED_START: Parameter = optional(
    "start",
    Kind::Time,
    "The first time that is deleted; unbounded without it.",
);
pub(crate) const DELETED_END: Parameter = optional(
    "end",
    Kind::Time,
    "The last time that is deleted; unbounded without it.",
);
pub(crate) const VALUE: Parameter = optional(
    "value",
    Kind::Text,
    "Deletes only floats that pass a comparison with a number, such as `> 5`; histograms and \
     exemplars stay.",
);
pub(crate) const AUTHOR: Parameter = optional("author", Kind::Text, "Who asks, for the receipt.");
pub(crate) const ALL_TENANTS: Parameter = optional(
    "all",
    Kind::Choice(&["true", "false"]),
    "`true`: the heads of all tenants.",
);
pub(crate) const LIMIT_FAMILIES: Parameter = optional(
    "limit",
    Kind::Integer { min: -1 },
    "The most families of the answer; -1 for all, 0 for none.",
);
pub(crate) const LIMIT_PER_METRIC: Parameter = optional(
    "limit_per_metric",
    Kind::Integer { min: -1 },
    "The most entries of a family. Each has one.",
);
pub(crate) const LIMIT_TOP: Parameter = optional(
    "limit",
    Kind::Integer { min: 1 },
    "The most elements of each list, the largest first.",
);
pub(crate) const METRIC_NAME: Parameter = required("metric", Kind::Text, "A metric's name.");
pub(crate) const RECENT_START: Parameter = optional(
    "start",
    Kind::Time,
    "The start of the range; three hours before the end without it.",
);
pub(crate) const RECENT_END: Parameter = optional(
    "end",
    Kind::Time,
    "The end of the range, inclusive; the current time without it.",
);
pub(crate) const SELECTOR: Parameter =
    optional("selector", Kind::Text, "A selector of the series to count.");
pub(crate) const LABEL_NAMES: Parameter = Parameter {
    name: "label_names[]",
    kind: Kind::Texts,
    is_required: true,
    about: "The labels whose values are counted.",
};
