//! The querier's routes.

use std::sync::Arc;

use crate::http::docs::endpoint::Answer::{Absent, Data, DataOrText, Json, Nothing, Raw};
use crate::http::docs::endpoint::{Endpoint, PROTOBUF, TEXT, on_get, on_get_post, on_post};
use crate::http::docs::openapi::schemas::Schema;
use crate::http::docs::parameter_docs::{
    ANALYZE, END, EXPLAIN_END, EXPLAIN_FORMAT, EXPLAIN_START, EXPLAIN_STEP, LABEL_NAMES, LIMIT,
    LIMIT_FAMILIES, LIMIT_NUMBER, LIMIT_PER_METRIC, LIMIT_TOP, LOOKBACK_DELTA, MATCH, MATCH_TARGET,
    METRIC, METRIC_NAME, QUERY, RANGE_END, RANGE_START, RECENT_END, RECENT_START, RELABELED,
    RULE_TYPE, SCRAPE_POOL, SCRAPE_POOL_NAME, SELECTOR, START, STATS, STEP, TARGET_STATE, TIME,
    TIMEOUT,
};
use crate::http::prometheus::{
    blocks, cardinality, empty_sets, exemplars, explain, metadata, query, syntax,
};
use crate::http::roles::state::querier::QuerierState;
use crate::http::{federate, remote_read};

/// Queries.
pub(crate) fn queries() -> Vec<Endpoint<Arc<QuerierState>>> {
    vec![
        on_get_post("/api/v1/query", query::instant)
            .says("Evaluates a query at one time.")
            .takes(&[QUERY, TIME, TIMEOUT, LIMIT, LOOKBACK_DELTA, STATS])
            .answers(Data(Schema::QueryData)),
        on_get_post("/api/v1/query_range", query::range)
            .says("Evaluates a query at each step of a range, at most 11,001 of them.")
            .takes(&[
                QUERY,
                RANGE_START,
                RANGE_END,
                STEP,
                TIMEOUT,
                LIMIT,
                LOOKBACK_DELTA,
                STATS,
            ])
            .answers(Data(Schema::QueryData)),
        on_get_post("/api/v1/explain", explain::explain)
            .says(
                "The operators of a query; with `analyze`, what each of them did and read. A \
                 range when `start` is given, else one time.",
            )
            .takes(&[
                QUERY,
                TIME,
                EXPLAIN_START,
                EXPLAIN_END,
                EXPLAIN_STEP,
                ANALYZE,
                EXPLAIN_FORMAT,
                TIMEOUT,
                LOOKBACK_DELTA,
            ])
            .answers(DataOrText(Schema::Explained)),
        on_get_post("/api/v1/format_query", syntax::format)
            .says("A query, laid out over several lines where it is long.")
            .takes(&[QUERY])
            .answers(Data(Schema::Text)),
        on_get_post("/api/v1/parse_query", syntax::tree)
            .says("The syntax tree of a query.")
            .takes(&[QUERY])
            .answers(Data(Schema::Tree)),
    ]
}

/// Series and their labels.
pub(crate) fn series() -> Vec<Endpoint<Arc<QuerierState>>> {
    vec![
        on_get_post("/api/v1/series", metadata::series)
            .says("The label sets of the series that any selector matches.")
            .takes(&[MATCH, START, END, LIMIT])
            .answers(Data(Schema::SeriesList)),
        on_get_post("/api/v1/labels", metadata::labels)
            .says("The names of labels, sorted.")
            .takes(&[MATCH, START, END, LIMIT])
            .answers(Data(Schema::Names)),
        on_get_post("/api/v1/label/{name}/values", metadata::label_values)
            .says("The values of a label, sorted. The name may be escaped with `U__`.")
            .takes(&[MATCH, START, END, LIMIT])
            .answers(Data(Schema::Names)),
        on_get("/api/v1/metadata", metadata::families)
            .says("Type, help and unit of metric families, as they were last sent.")
            .takes(&[LIMIT_FAMILIES, LIMIT_PER_METRIC, METRIC])
            .answers(Data(Schema::Families)),
        on_get_post("/api/v1/query_exemplars", exemplars::query)
            .says(
                "The exemplars of the series that the selectors of a query select; 204 for a \
                 query without any.",
            )
            .takes(&[QUERY, START, END])
            .answers(Data(Schema::Exemplars)),
        on_get_post("/api/v1/search/metric_names", empty_sets::search)
            .says("The search for names of metrics: not there.")
            .answers(Absent(404)),
        on_get_post("/api/v1/search/label_names", empty_sets::search)
            .says("The search for names of labels: not there.")
            .answers(Absent(404)),
        on_get_post("/api/v1/search/label_values", empty_sets::search)
            .says("The search for values of labels: not there.")
            .answers(Absent(404)),
    ]
}

/// How many series there are.
pub(crate) fn cardinality() -> Vec<Endpoint<Arc<QuerierState>>> {
    vec![
        on_get("/api/v1/status/tsdb", cardinality::tsdb_status)
            .says("How many series there are, and the metrics and labels that have the most.")
            .takes(&[LIMIT_TOP, RECENT_START, RECENT_END])
            .answers(Data(Schema::TsdbStatus)),
        on_get("/api/v1/status/tsdb/blocks", blocks::blocks)
            .says("The tenant's blocks in the store, by time.")
            .answers(Data(Schema::Blocks)),
        on_get("/api/v1/status/metric", cardinality::metric_status)
            .says(
                "The series, samples and labels of one metric, and how many series came and \
                 went.",
            )
            .takes(&[METRIC_NAME, RECENT_START, RECENT_END, LIMIT_TOP])
            .answers(Data(Schema::MetricStatus)),
        on_get_post("/api/v1/cardinality/label_names", cardinality::label_names)
            .says("As a Mimir: how many values each label name has.")
            .takes(&[SELECTOR, RECENT_START, RECENT_END, LIMIT_TOP])
            .answers(Json(Schema::LabelNamesCardinality)),
        on_get_post(
            "/api/v1/cardinality/label_values",
            cardinality::label_values,
        )
        .says("As a Mimir: how many series each value of some labels has.")
        .takes(&[LABEL_NAMES, SELECTOR, RECENT_START, RECENT_END, LIMIT_TOP])
        .answers(Json(Schema::LabelValuesCardinality)),
        on_get_post(
            "/api/v1/cardinality/active_series",
            cardinality::active_series,
        )
        .says("As a Mimir: the label sets of series that have samples of late.")
        .takes(&[SELECTOR, RECENT_START, RECENT_END])
        .answers(Json(Schema::ActiveSeries)),
    ]
}

/// Reading for others.
pub(crate) fn remote() -> Vec<Endpoint<Arc<QuerierState>>> {
    vec![
        on_post("/api/v1/read", remote_read::read)
            .says(
                "The samples of series, for a Prometheus that calculates with them: a remote \
                 read, in snappy.",
            )
            .reads(PROTOBUF)
            .answers(Raw(PROTOBUF)),
        on_get("/federate", federate::federate)
            .says(
                "The newest sample of each series that any selector matches, for a Prometheus \
                 that scrapes them.",
            )
            .takes(&[MATCH])
            .answers(Raw(TEXT)),
    ]
}

/// What a Prometheus does beside storing, and a store does not: empty sets.
pub(crate) fn empty_sets() -> Vec<Endpoint<Arc<QuerierState>>> {
    vec![
        on_get("/api/v1/rules", empty_sets::rules)
            .says("Groups of rules: none.")
            .takes(&[RULE_TYPE, MATCH])
            .answers(Data(Schema::Rules)),
        on_get("/api/v1/alerts", empty_sets::alerts)
            .says("Active alerts: none.")
            .answers(Data(Schema::Alerts)),
        on_get("/api/v1/targets", empty_sets::targets)
            .says("Targets of scraping: none.")
            .takes(&[TARGET_STATE, SCRAPE_POOL])
            .answers(Data(Schema::Targets)),
        on_get("/api/v1/targets/metadata", empty_sets::target_metadata)
            .says("Metadata of scraped targets: none.")
            .takes(&[MATCH_TARGET, METRIC, LIMIT_NUMBER])
            .answers(Data(Schema::TargetMetadata)),
        on_get("/api/v1/targets/relabel_steps", empty_sets::relabel_steps)
            .says("What relabeling makes of labels: there is no pool.")
            .takes(&[SCRAPE_POOL_NAME, RELABELED])
            .answers(Absent(400)),
        on_get("/api/v1/scrape_pools", empty_sets::scrape_pools)
            .says("Pools of targets: none.")
            .answers(Data(Schema::ScrapePools)),
        on_get(
            "/api/v1/scrape_pools/config",
            empty_sets::scrape_pool_config,
        )
        .says("The settings of a pool: there is none.")
        .takes(&[SCRAPE_POOL_NAME])
        .answers(Absent(400)),
        on_get("/api/v1/alertmanagers", empty_sets::alertmanagers)
            .says("Alertmanagers that alerts are sent to: none.")
            .answers(Data(Schema::Alertmanagers)),
        on_get("/api/v1/notifications", empty_sets::notifications)
            .says("Notices to people in front of a page: none.")
            .answers(Data(Schema::Notifications)),
        on_get("/api/v1/notifications/live", empty_sets::live_notifications)
            .says("The notices as they come: none, and none to wait for.")
            .answers(Nothing),
    ]
}
