//! The limits of one tenant.

use std::sync::Arc;
use std::time::Duration;

use duramen_settings::{duration, size};
use duramen_source::Retention;
use duramen_source::rollup::{FIVE_MINUTES_MS, HOUR_MS};
use serde::{Deserialize, Serialize};

use crate::retention::{RetentionRule, kept_from_ms};

/// All limits of one tenant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub ingest: IngestLimits,
    pub ha: HaLimits,
    pub query: QueryLimits,
    pub retention: RetentionLimits,
}

/// Limits of the data that a tenant sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestLimits {
    /// Samples, histograms and exemplars per second, on average; null for no limit. A write above
    /// this rate gets 429 with `Retry-After`, so senders slow down. They lose nothing as long as
    /// their own buffers last.
    pub samples_per_second: Option<f64>,
    /// How many of them may come at once before the rate counts. A request with more never passes,
    /// so keep it above twice the sender's `max_samples_per_send`.
    pub samples_burst: u64,
    /// Active series. A series is active while it has samples that are not in the store yet, or has
    /// received data since the flush before. A sample of a further series is refused with 400, and
    /// the others of its request are kept. A series that stops makes room after two flushes at
    /// most.
    pub series_max: usize,
    /// Active series of one metric name; null for no limit. With it, one bad label cannot use up
    /// the whole of `series_max`.
    pub series_per_metric_max: Option<usize>,
    /// Memory of the tenant's active series (labels and index) and of its metadata. A series that
    /// would take more is refused with 400, and the others of its request are kept. A series takes
    /// some 300 bytes, and each label value that no other series has takes 350 bytes and its
    /// length, so this limit bounds a tenant with many long values. All tenants together have
    /// `head.series_bytes_max` of the settings; null means half of that.
    #[serde(with = "size::optional")]
    pub series_bytes_max: Option<usize>,
    /// Labels of one series, including `__name__`.
    pub labels_per_series_max: usize,
    /// The longest label name.
    #[serde(with = "size")]
    pub label_name_bytes_max: usize,
    /// The longest label value. Every query that reads the series carries it. A metric name has at
    /// most 8 KiB, whatever this says.
    #[serde(with = "size")]
    pub label_value_bytes_max: usize,
    /// How far a sample may be ahead of the clock. Longer: a sender with a wrong clock does more
    /// harm before anyone notices.
    #[serde(with = "duration")]
    pub future_max: Duration,
    /// How far a sample may be behind the clock; null for no limit. Backfill needs null. With a
    /// limit, late samples cannot make blocks for old times.
    #[serde(with = "duration::optional")]
    pub age_max: Option<Duration>,
    /// The longest life span (`ttl`) of a sample. Longer: every query must look further back.
    #[serde(with = "duration")]
    pub ttl_max: Duration,
    /// A request's body as it arrives, still compressed. A larger one gets 413, and senders then
    /// drop it, so lower this limit with care.
    #[serde(with = "size")]
    pub body_bytes_max: usize,
    /// A request's body after decompression. While the request is handled, it takes up to three
    /// times as much memory.
    #[serde(with = "size")]
    pub decoded_body_bytes_max: usize,
    /// Buckets of one native histogram, positive and negative together. A histogram with more is
    /// refused.
    pub histogram_buckets_max: usize,
    /// Exemplars in memory. Beyond it, the series with the most exemplars loses its oldest ones.
    pub exemplars_max: usize,
    /// The length of all label names and values of one exemplar together, in characters. The
    /// default is the limit of OpenMetrics.
    pub exemplar_label_chars_max: usize,
    /// Metric families with metadata. Metadata of further families is dropped and counted. Above
    /// nine tenths of the limit, families that were not sent for two flushes are removed.
    pub metadata_families_max: usize,
    /// The length of name, help and unit of one family together.
    #[serde(with = "size")]
    pub metadata_bytes_max: usize,
}

impl Default for IngestLimits {
    fn default() -> Self {
        Self {
            samples_per_second: None,
            samples_burst: 2_000_000,
            series_max: 5_000_000,
            series_per_metric_max: None,
            series_bytes_max: None,
            labels_per_series_max: 60,
            label_name_bytes_max: 1024,
            label_value_bytes_max: 2048,
            future_max: Duration::from_secs(10 * 60),
            age_max: None,
            ttl_max: Duration::from_secs(24 * 60 * 60),
            body_bytes_max: 32 << 20,
            decoded_body_bytes_max: 32 << 20,
            histogram_buckets_max: 2048,
            exemplars_max: 100_000,
            exemplar_label_chars_max: 128,
            metadata_families_max: 50_000,
            metadata_bytes_max: 8 << 10,
        }
    }
}

/// How samples of two identical Prometheus servers become one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HaLimits {
    /// Whether samples with both labels are accepted from only one replica of a cluster. If false,
    /// the samples of each replica are separate series.
    pub enabled: bool,
    /// The label that names the pair. It is kept.
    pub cluster_label: String,
    /// The label that distinguishes the replicas. It is removed before samples are stored.
    pub replica_label: String,
    /// Another replica is elected when the elected one has sent nothing for this long. Shorter: a
    /// smaller gap when a server fails, but more changes when senders stall. Keep it above several
    /// scrape intervals.
    #[serde(with = "duration")]
    pub failover_timeout: Duration,
    /// How many pairs a tenant may have. Samples of a further pair are refused with 400. Without
    /// this limit, a wrong label would make a pair of each of its values, and each pair costs a
    /// request and some memory.
    pub clusters_max: usize,
}

impl Default for HaLimits {
    fn default() -> Self {
        Self {
            enabled: false,
            cluster_label: "cluster".to_owned(),
            replica_label: "__replica__".to_owned(),
            failover_timeout: Duration::from_secs(30),
            clusters_max: 100,
        }
    }
}

/// Limits of the queries of a tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryLimits {
    /// Queries of the tenant that are evaluated at once. Further queries wait for their turn.
    pub concurrency_max: usize,
    /// Queries of the tenant that wait for their turn. A further query gets 429.
    pub waiting_max: usize,
    /// The longest time for a query, waiting and evaluation together. A request may ask for less.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// The time from the start to the end of a query, plus the longest range that a selector or
    /// subquery in it looks back; null for no limit.
    #[serde(with = "duration::optional")]
    pub range_max: Option<Duration>,
    /// Points of each series of a range query, minus one, as Prometheus counts them.
    pub steps_max: usize,
    /// Samples that one query may hold at once, each of 16 bytes of memory.
    pub samples_max: usize,
    /// The memory that one query may hold at once: samples that are read, vectors, and what its
    /// answer is made from. A query that needs more gets 422.
    #[serde(with = "size")]
    pub memory_bytes_max: usize,
    /// The memory that all queries of the tenant may hold at once. A query that finds none left
    /// gets 503. All tenants together have 80 % of `memory.bytes_max` of the settings; null means
    /// half of that.
    #[serde(with = "size::optional")]
    pub tenant_memory_bytes_max: Option<usize>,
    /// The text of a query or of a selector. A dashboard that lists thousands of names in a regex
    /// has some hundred kilobytes. Parsing takes up to fifty times as much memory as the text.
    #[serde(with = "size")]
    pub text_bytes_max: usize,
    /// The cost of all regexes of one request: roughly the memory of their automata. A repeated
    /// pattern counts once, and a list of names costs little more than its text. Higher: one
    /// request can compute longer, some 6 ms per mebibyte, before it reads its first series.
    #[serde(with = "size")]
    pub regex_bytes_max: usize,
    /// Series that one selector may read; null for no limit.
    pub series_max: Option<usize>,
    /// Series that `series` and cardinality requests may visit, and names or values that `labels`
    /// and label value requests may find.
    pub metadata_series_max: usize,
    /// Exemplars in one answer.
    pub exemplars_max: usize,
    /// The body of one answer, before compression. A larger answer is refused if its size is known
    /// before it is sent; otherwise its connection is cut. Higher: one request can keep its turn
    /// longer, and browsers become slow.
    #[serde(with = "size")]
    pub answer_bytes_max: usize,
    /// Samples of one remote-read answer that is a single message. A streamed answer takes no
    /// memory for its samples and has no limit.
    pub remote_read_samples_max: usize,
    /// Whether an answer may leave out blocks that cannot be read, with a warning for each, if the
    /// request does not say (`partial_response`). If false, such a query fails with 503.
    pub partial_response: bool,
    /// Which rollups are read in place of samples, if the request does not say
    /// (`max_source_resolution`). `exact`: where they give what samples give. `auto`: also where a
    /// window has five buckets or more; each end of it may then be off by the samples of one bucket,
    /// and an info in the answer says so.
    pub rollups: RollupUse,
}

/// Which rollups are read in place of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RollupUse {
    #[default]
    Exact,
    Auto,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            concurrency_max: 20,
            waiting_max: 1000,
            timeout: Duration::from_secs(120),
            range_max: None,
            steps_max: 11_000,
            samples_max: 50_000_000,
            memory_bytes_max: 1 << 30,
            tenant_memory_bytes_max: None,
            text_bytes_max: 1 << 20,
            regex_bytes_max: 128 << 20,
            series_max: None,
            metadata_series_max: 10_000_000,
            exemplars_max: 100_000,
            answer_bytes_max: 256 << 20,
            remote_read_samples_max: 50_000_000,
            partial_response: false,
            rollups: RollupUse::Exact,
        }
    }
}

/// How long data is kept. A change counts for the next query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionLimits {
    /// How long samples are kept, by their own times; null or 0 keeps them for ever. Queries show
    /// nothing older. A block is deleted when all of it is older, so it may lie in the bucket for a
    /// day longer, and for `compact.grace`. The shortest period is 1h, so that nobody writes `6m`
    /// for six months.
    #[serde(with = "duration::optional")]
    pub period: Option<Duration>,
    /// Other periods for some series, such as `[{selector: '{env="dev"}', period: 7d}]`. The first
    /// rule whose selector matches a series counts, whether its period is longer or shorter than
    /// `period`; a rule with 0 keeps its series for ever. A block with several periods is deleted
    /// after the longest one. At most 100 rules.
    pub rules: Vec<RetentionRule>,
    /// How long rollups of 5 minutes are kept, if that is longer than their samples are; null: as
    /// long as the samples, 0: for ever. Samples are then deleted when there are rollups of all of
    /// them. There are none of native histograms, so a block with some is kept as long as rollups
    /// are.
    #[serde(with = "duration::optional")]
    pub rollups_5m: Option<Duration>,
    /// The same of rollups of an hour.
    #[serde(with = "duration::optional")]
    pub rollups_1h: Option<Duration>,
}

impl RetentionLimits {
    /// From which time on samples are kept, at `now_ms`. `None` if all are.
    pub fn at(&self, now_ms: i64) -> Option<Retention> {
        let rule = |rule: &RetentionRule| {
            let matchers = Arc::clone(&rule.selector.matchers);
            (matchers, kept_from_ms(Some(rule.period), now_ms))
        };

        let rules = self.rules.iter().map(rule).collect();
        let rollups = [
            (FIVE_MINUTES_MS, self.rollups_5m),
            (HOUR_MS, self.rollups_1h),
        ];
        let rollups = rollups.into_iter().filter_map(|(resolution_ms, period)| {
            period.map(|period| (resolution_ms, kept_from_ms(Some(period), now_ms)))
        });

        let retention = Retention::new(rules, kept_from_ms(self.period, now_ms));
        let retention = retention.with_rollups(rollups.collect());
        (retention.latest_ms() > i64::MIN).then_some(retention)
    }
}

/// The limits as a tree of keys.
pub(crate) fn tree(limits: &Limits) -> serde_json::Value {
    serde_json::to_value(limits).expect("plain values have JSON")
}
