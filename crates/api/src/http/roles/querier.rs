//! The querier's routes.

use std::sync::Arc;

use crate::http::docs::endpoint::Answer::{
    Absent, Data, DataOrNothing, DataOrText, Json, Nothing, Raw,
};
use crate::http::docs::endpoint::{Endpoint, PROTOBUF, TEXT, on_get, on_get_post, on_post};
use crate::http::docs::openapi::schemas::Schema;
use crate::http::docs::parameter_docs::{
    ANALYZE, AS_OF, END, EXPLAIN_END, EXPLAIN_FORMAT, EXPLAIN_START, EXPLAIN_STEP, LABEL_NAMES,
    LIMIT, LIMIT_FAMILIES, LIMIT_NUMBER, LIMIT_PER_METRIC, LIMIT_TOP, LOOKBACK_DELTA, MATCH,
    MATCH_TARGET, MAX_SOURCE_RESOLUTION, METRIC, METRIC_NAME, PARTIAL_RESPONSE, QUERY, RANGE_END,
    RANGE_START, RECENT_END, RECENT_START, RELABELED, RULE_TYPE, SCRAPE_POOL, SCRAPE_POOL_NAME,
    SELECTOR, START, STATS, STEP, TARGET_STATE, TIME, TIMEOUT,
};
use crate::http::prometheus::{
    blocks, cardinality, empty_sets, exemplars, explain, metadata, query, syntax,
};
use crate::http::roles::state::querier::QuerierState;
use crate::http::{federate, remote_read};

/// The routes that evaluate queries.
pub(crate) fn queries() -> Vec<Endpoint<Arc<QuerierState>>> {
    vec![
        on_get_post("/api/v1/query", query::instant)
            .says("Evaluates a query at one time.")
            .takes(&[
                QUERY,
                TIME,
                TIMEOUT,
                LIMIT,
                LOOKBACK_DELTA,
                MAX_SOURCE_RESOLUTION,
                STATS,
                PARTIAL_RESPONSE,
                AS_OF,
            ])
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
                MAX_SOURCE_RESOLUTION,
                STATS,
                PARTIAL_RESPONSE,
                AS_OF,
            ])
            .answers(Data(Schema::QueryData)),
        on_get_post("/api/v1/explain", explain::explain)
            .says(
                "The operators of a query and, with `analyze`, what each of them did and read. \
                 With `start` for a range, else for one time.",
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
                MAX_SOURCE_RESOLUTION,
                PARTIAL_RESPONSE,
                AS_OF,
            ])
            .answers(DataOrText(Schema::Explained)),
        on_get_post("/api/v1/format_query", syntax::format)
            .says("The query, formatted; a long one in several lines.")
            .takes(&[QUERY])
            .answers(Data(Schema::Text)),
        on_get_post("/api/v1/parse_query", syntax::tree)
            .says("The syntax tree of a query.")
            .takes(&[QUERY])
            .answers(Data(Schema::Tree)),
    ]
}

/// The routes that list series and their labels.
pub(crate) fn series() -> Vec<Endpoint<Arc<QuerierState>>> {
    vec![
        on_get_post("/api/v1/series", metadata::series)
            .says("The label sets of the series that any selector matches.")
            .takes(&[MATCH, START, END, LIMIT, PARTIAL_RESPONSE, AS_OF])
            .answers(Data(Schema::SeriesList)),
        on_get_post("/api/v1/labels", metadata::labels)
            .says("The names of labels, sorted.")
            .takes(&[MATCH, START, END, LIMIT, PARTIAL_RESPONSE, AS_OF])
            .answers(Data(Schema::Names)),
        on_get_post("/api/v1/label/{name}/values", metadata::label_values)
            .says("The values of a label, sorted. The name may be escaped with `U__`.")
            .takes(&[MATCH, START, END, LIMIT, PARTIAL_RESPONSE, AS_OF])
            .answers(Data(Schema::Names)),
        on_get("/api/v1/metadata", metadata::families)
            .says("Type, help and unit of metric families, as they were last sent.")
            .takes(&[LIMIT_FAMILIES, LIMIT_PER_METRIC, METRIC, AS_OF])
            .answers(Data(Schema::Families)),
        on_get_post("/api/v1/query_exemplars", exemplars::query)
            .says(
                "The exemplars of the series that the selectors of a query select; 204 for a \
                 query without any.",
            )
            .takes(&[QUERY, START, END, AS_OF])
            .answers(DataOrNothing(Schema::Exemplars)),
        on_get_post("/api/v1/search/metric_names", empty_sets::search)
            .says("The search for metric names: not supported.")
            .answers(Absent(404)),
        on_get_post("/api/v1/search/label_names", empty_sets::search)
            .says("The search for label names: not supported.")
            .answers(Absent(404)),
        on_get_post("/api/v1/search/label_values", empty_sets::search)
            .says("The search for label values: not supported.")
            .answers(Absent(404)),
    ]
}

/// The routes that count series.
pub(crate) fn cardinality() -> Vec<Endpoint<Arc<QuerierState>>> {
    vec![
        on_get("/api/v1/status/tsdb", cardinality::tsdb_status)
            .says("The number of series, and the metrics and labels that have most of them.")
            .takes(&[LIMIT_TOP, RECENT_START, RECENT_END, AS_OF])
            .answers(Data(Schema::TsdbStatus)),
        on_get("/api/v1/status/tsdb/blocks", blocks::blocks)
            .says("The tenant's blocks in the store, by time.")
            .answers(Data(Schema::Blocks)),
        on_get("/api/v1/status/metric", cardinality::metric_status)
            .says(
                "The series, samples and labels of one metric, and how many series began and \
                 ended.",
            )
            .takes(&[METRIC_NAME, RECENT_START, RECENT_END, LIMIT_TOP, AS_OF])
            .answers(Data(Schema::MetricStatus)),
        on_get_post("/api/v1/cardinality/label_names", cardinality::label_names)
            .says("The number of values of each label name, as in Mimir.")
            .takes(&[SELECTOR, RECENT_START, RECENT_END, LIMIT_TOP, AS_OF])
            .answers(Json(Schema::LabelNamesCardinality)),
        on_get_post(
            "/api/v1/cardinality/label_values",
            cardinality::label_values,
        )
        .says("The number of series of each value of some labels, as in Mimir.")
        .takes(&[
            LABEL_NAMES,
            SELECTOR,
            RECENT_START,
            RECENT_END,
            LIMIT_TOP,
            AS_OF,
        ])
        .answers(Json(Schema::LabelValuesCardinality)),
        on_get_post(
            "/api/v1/cardinality/active_series",
            cardinality::active_series,
        )
        .says("The label sets of series with recent samples, as in Mimir.")
        .takes(&[SELECTOR, RECENT_START, RECENT_END, AS_OF])
        .answers(Json(Schema::ActiveSeries)),
    ]
}

/// The routes through which another Prometheus reads.
pub(crate) fn remote() -> Vec<Endpoint<Arc<QuerierState>>> {
    vec![
        on_post("/api/v1/read", remote_read::read)
            .says(
                "A remote read, compressed with snappy: the samples of series, for a Prometheus \
                 that evaluates queries with them.",
            )
            .takes(&[AS_OF])
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

/// The routes for parts of a Prometheus that a store does not have. They answer with empty sets.
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
            .says("The steps of relabeling: there is no pool.")
            .takes(&[SCRAPE_POOL_NAME, RELABELED])
            .answers(Absent(400)),
        on_get("/api/v1/scrape_pools", empty_sets::scrape_pools)
            .says("Pools of targets: none.")
            .answers(Data(Schema::ScrapePools)),
        on_get(
            "/api/v1/scrape_pools/config",
            empty_sets::scrape_pool_config,
        )
        .says("The settings of a pool: there is no pool.")
        .takes(&[SCRAPE_POOL_NAME])
        .answers(Absent(400)),
        on_get("/api/v1/alertmanagers", empty_sets::alertmanagers)
            .says("Alertmanagers that alerts are sent to: none.")
            .answers(Data(Schema::Alertmanagers)),
        on_get("/api/v1/notifications", empty_sets::notifications)
            .says("Notices for users of a page: none.")
            .answers(Data(Schema::Notifications)),
        on_get("/api/v1/notifications/live", empty_sets::live_notifications)
            .says("A stream of notices: there will be none.")
            .answers(Nothing),
    ]
}
