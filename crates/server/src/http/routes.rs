//! The table of the API: every route with its handler, its parameters and its answer. A route that
//! is not here is neither served nor documented.

use super::endpoint::Answer::{Absent, Accepted, Data, DataOrText, Json, Nothing, Raw};
use super::endpoint::{Endpoint, on_get, on_get_post, on_post, on_post_put};
use super::openapi::schemas::Schema;
use super::parameters::{
    ALL_TENANTS, ANALYZE, END, EXPLAIN_END, EXPLAIN_FORMAT, EXPLAIN_START, EXPLAIN_STEP,
    LABEL_NAMES, LIMIT, LIMIT_FAMILIES, LIMIT_NUMBER, LIMIT_PER_METRIC, LIMIT_TOP, LOOKBACK_DELTA,
    MATCH, MATCH_TARGET, METRIC, METRIC_NAME, METRIC_PATTERN, QUERY, RANGE_END, RANGE_START,
    RECENT_END, RECENT_START, RELABELED, RULE_TYPE, SCRAPE_POOL, SCRAPE_POOL_NAME, SELECTOR, START,
    STATS, STEP, TARGET_STATE, TIME, TIMEOUT,
};
use super::{
    admin, cardinality, empty_sets, exemplars, explain, federate, metadata, openapi, query,
    remote_read, self_metrics, settings, status, syntax, write,
};

const TEXT: &str = "text/plain";
const PROTOBUF: &str = "application/x-protobuf";

/// All routes, in the order of the documents. Those of a Prometheus first by their section, then
/// our own.
#[rustfmt::skip]
pub(super) fn table() -> Vec<Endpoint> {
    vec![
        // Queries.
        on_get_post("/api/v1/query", query::instant).says("Evaluates a query at one time.").takes(&[QUERY, TIME, TIMEOUT, LIMIT, LOOKBACK_DELTA, STATS]).answers(Data(Schema::QueryData)),
        on_get_post("/api/v1/query_range", query::range).says("Evaluates a query at each step of a range, at most 11,001 of them.").takes(&[QUERY, RANGE_START, RANGE_END, STEP, TIMEOUT, LIMIT, LOOKBACK_DELTA, STATS]).answers(Data(Schema::QueryData)),
        on_get_post("/api/v1/explain", explain::explain).says("The operators of a query; with `analyze`, what each of them did and read. A range when `start` is given, else one time.").takes(&[QUERY, TIME, EXPLAIN_START, EXPLAIN_END, EXPLAIN_STEP, ANALYZE, EXPLAIN_FORMAT, TIMEOUT, LOOKBACK_DELTA]).answers(DataOrText(Schema::Explained)),
        on_get_post("/api/v1/format_query", syntax::format).says("A query, laid out over several lines where it is long.").takes(&[QUERY]).answers(Data(Schema::Text)),
        on_get_post("/api/v1/parse_query", syntax::tree).says("The syntax tree of a query.").takes(&[QUERY]).answers(Data(Schema::Tree)),
        // Series and their labels.
        on_get_post("/api/v1/series", metadata::series).says("The label sets of the series that any selector matches.").takes(&[MATCH, START, END, LIMIT]).answers(Data(Schema::SeriesList)),
        on_get_post("/api/v1/labels", metadata::labels).says("The names of labels, sorted.").takes(&[MATCH, START, END, LIMIT]).answers(Data(Schema::Names)),
        on_get_post("/api/v1/label/{name}/values", metadata::label_values).says("The values of a label, sorted. The name may be escaped with `U__`.").takes(&[MATCH, START, END, LIMIT]).answers(Data(Schema::Names)),
        on_get("/api/v1/metadata", metadata::families).says("Type, help and unit of metric families, as they were last sent.").takes(&[LIMIT_FAMILIES, LIMIT_PER_METRIC, METRIC]).answers(Data(Schema::Families)),
        on_get_post("/api/v1/query_exemplars", exemplars::query).says("The exemplars of the series that the selectors of a query select; 204 for a query without any.").takes(&[QUERY, START, END]).answers(Data(Schema::Exemplars)),
        on_get_post("/api/v1/search/metric_names", empty_sets::search).says("The search for names of metrics: not there.").answers(Absent(404)),
        on_get_post("/api/v1/search/label_names", empty_sets::search).says("The search for names of labels: not there.").answers(Absent(404)),
        on_get_post("/api/v1/search/label_values", empty_sets::search).says("The search for values of labels: not there.").answers(Absent(404)),
        // Cardinality.
        on_get("/api/v1/status/tsdb", cardinality::tsdb_status).says("How many series there are, and the metrics and labels that have the most.").takes(&[LIMIT_TOP, RECENT_START, RECENT_END]).answers(Data(Schema::TsdbStatus)),
        on_get("/api/v1/status/tsdb/blocks", status::blocks).says("The tenant's blocks in the store, by time.").answers(Data(Schema::Blocks)),
        on_get("/api/v1/status/metric", cardinality::metric_status).says("The series, samples and labels of one metric, and how many series came and went.").takes(&[METRIC_NAME, RECENT_START, RECENT_END, LIMIT_TOP]).answers(Data(Schema::MetricStatus)),
        on_get_post("/api/v1/cardinality/label_names", cardinality::label_names).says("As a Mimir: how many values each label name has.").takes(&[SELECTOR, RECENT_START, RECENT_END, LIMIT_TOP]).answers(Json(Schema::LabelNamesCardinality)),
        on_get_post("/api/v1/cardinality/label_values", cardinality::label_values).says("As a Mimir: how many series each value of some labels has.").takes(&[LABEL_NAMES, SELECTOR, RECENT_START, RECENT_END, LIMIT_TOP]).answers(Json(Schema::LabelValuesCardinality)),
        on_get_post("/api/v1/cardinality/active_series", cardinality::active_series).says("As a Mimir: the label sets of series that have samples of late.").takes(&[SELECTOR, RECENT_START, RECENT_END]).answers(Json(Schema::ActiveSeries)),
        // Writing.
        on_post("/api/v1/write", write::write).says("Stores the samples of a remote write, in snappy.").reads(PROTOBUF).answers(Accepted),
        on_post("/api/v1/push", write::write).says("As `/api/v1/write`.").reads(PROTOBUF).answers(Accepted),
        on_post("/api/v1/receive", write::write).says("As `/api/v1/write`, where a Thanos has it.").reads(PROTOBUF).answers(Accepted),
        on_post("/api/prom/push", write::write).says("As `/api/v1/write`, where the first Cortex had it.").reads(PROTOBUF).answers(Accepted),
        // Reading for others.
        on_post("/api/v1/read", remote_read::read).says("The samples of series, for a Prometheus that calculates with them: a remote read, in snappy.").reads(PROTOBUF).answers(Raw(PROTOBUF)),
        on_get("/federate", federate::federate).says("The newest sample of each series that any selector matches, for a Prometheus that scrapes them.").takes(&[MATCH]).answers(Raw(TEXT)),
        // What a Prometheus does beside storing, and a store does not: empty sets.
        on_get("/api/v1/rules", empty_sets::rules).says("Groups of rules: none.").takes(&[RULE_TYPE, MATCH]).answers(Data(Schema::Rules)),
        on_get("/api/v1/alerts", empty_sets::alerts).says("Active alerts: none.").answers(Data(Schema::Alerts)),
        on_get("/api/v1/targets", empty_sets::targets).says("Targets of scraping: none.").takes(&[TARGET_STATE, SCRAPE_POOL]).answers(Data(Schema::Targets)),
        on_get("/api/v1/targets/metadata", empty_sets::target_metadata).says("Metadata of scraped targets: none.").takes(&[MATCH_TARGET, METRIC, LIMIT_NUMBER]).answers(Data(Schema::TargetMetadata)),
        on_get("/api/v1/targets/relabel_steps", empty_sets::relabel_steps).says("What relabeling makes of labels: there is no pool.").takes(&[SCRAPE_POOL_NAME, RELABELED]).answers(Absent(400)),
        on_get("/api/v1/scrape_pools", empty_sets::scrape_pools).says("Pools of targets: none.").answers(Data(Schema::ScrapePools)),
        on_get("/api/v1/scrape_pools/config", empty_sets::scrape_pool_config).says("The settings of a pool: there is none.").takes(&[SCRAPE_POOL_NAME]).answers(Absent(400)),
        on_get("/api/v1/alertmanagers", empty_sets::alertmanagers).says("Alertmanagers that alerts are sent to: none.").answers(Data(Schema::Alertmanagers)),
        on_get("/api/v1/notifications", empty_sets::notifications).says("Notices to people in front of a page: none.").answers(Data(Schema::Notifications)),
        on_get("/api/v1/notifications/live", empty_sets::live_notifications).says("The notices as they come: none, and none to wait for.").answers(Nothing),
        // The process.
        on_get("/api/v1/status/buildinfo", status::buildinfo).says("The Prometheus whose API this is, and the build.").answers(Data(Schema::BuildInfo)),
        on_get("/api/v1/status/runtimeinfo", status::runtime_info).says("When and where the process was started.").answers(Data(Schema::RuntimeInfo)),
        on_get("/api/v1/status/flags", settings::flags).says("The flags of the process with their values as texts, secrets hidden.").answers(Data(Schema::Flags)),
        on_get("/api/v1/status/self_metrics", self_metrics::families).says("The metrics of the process, as JSON. With several tenants only those of nobody and of the one that asks.").takes(&[METRIC_PATTERN]).answers(Data(Schema::SelfMetrics)),
        on_get("/api/v1/status/walreplay", status::wal_replay).says("The replay of the log: done.").answers(Data(Schema::WalReplay)),
        on_get("/api/v1/features", status::features).says("What a client may use, by area.").answers(Data(Schema::Features)),
        on_get("/api/v1/openapi.yaml", openapi::serve).says("This API in the words of OpenAPI 3.1.").answers(Raw(openapi::YAML)),
        on_get("/openapi.yaml", openapi::serve).says("As `/api/v1/openapi.yaml`.").answers(Raw(openapi::YAML)),
        on_post_put("/api/v1/admin/tsdb/flush", admin::flush).says("Writes what is in memory to the store and returns when it is there.").takes(&[ALL_TENANTS]).answers(Nothing),
        on_get("/api/v1/status/config", settings::config).says("The settings of the process, secrets hidden, and where each is from.").answers(Data(Schema::Config)),
        on_get("/config", settings::page).says("As `/api/v1/status/config`, without the envelope.").answers(Raw("application/yaml")),
        on_get("/api/v1/limits", settings::limits).says("What the tenant may use, and which part of the limits file set it.").answers(Data(Schema::Limits)),
        on_get("/api/v1/user_limits", settings::limits).says("As `/api/v1/limits`.").answers(Data(Schema::Limits)),
        on_post_put("/-/reload", settings::reload).says("Reads the limits file again; 500 when it has faults.").answers(Raw(TEXT)),
        on_get("/", status::index).says("Where to find what.").answers(Raw(TEXT)),
        on_get("/version", status::version).says("As `/api/v1/status/buildinfo`, without the envelope.").answers(Json(Schema::BuildInfo)),
        on_get("/metrics", status::metrics).says("The metrics of the process. With several tenants only those of nobody and of the one that asks.").answers(Raw("application/openmetrics-text")),
        on_get("/-/healthy", status::healthy).says("Whether the process lives.").answers(Raw(TEXT)),
        on_get("/healthz", status::healthy).says("As `/-/healthy`.").answers(Raw(TEXT)),
        on_get("/-/ready", status::ready).says("Whether requests are answered.").answers(Raw(TEXT)),
        on_get("/ready", status::ready).says("As `/-/ready`.").answers(Raw(TEXT)),
    ]
}
