//! The limits of one tenant.

use std::time::Duration;

use duramen_settings::{duration, size};
use serde::{Deserialize, Serialize};

/// Everything that is limited for one tenant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub ingest: IngestLimits,
    pub ha: HaLimits,
    pub query: QueryLimits,
}

/// What a tenant may send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestLimits {
    /// Samples, histograms and exemplars a second, over time; null for no limit. A write beyond it
    /// gets 429 with `Retry-After`, so senders slow down and lose nothing while their own buffers
    /// last.
    pub samples_per_second: Option<f64>,
    /// How many of them may come at once before the rate counts. Below the largest request of a
    /// sender, that request never passes: keep it above twice the sender's `max_samples_per_send`.
    pub samples_burst: u64,
    /// Active series: those with samples that are not in the store yet, or that something came of
    /// since the flush before. A sample of one more is refused with 400, and the others of its
    /// request are kept. Room comes as series stop: after two flushes at most.
    pub series_max: usize,
    /// Active series of one metric name; null for no limit. Bounds what one bad label can do before
    /// it takes the whole of `series_max`.
    pub series_per_metric_max: Option<usize>,
    /// Memory of the labels and the index of the tenant's series in memory, and of its metadata. A
    /// series that would take more is refused with 400, and the others of its request are kept. A
    /// series takes some 300 bytes, and each label value that no other has 350 bytes and its
    /// length; so this is what bounds a tenant with many long values. All tenants together have
    /// `head.series_bytes_max` of the settings; null for half of that.
    #[serde(with = "size::optional")]
    pub series_bytes_max: Option<usize>,
    /// Labels of one series, `__name__` included.
    pub labels_per_series_max: usize,
    /// The longest label name.
    #[serde(with = "size")]
    pub label_name_bytes_max: usize,
    /// The longest label value. Every query that reads the series carries it.
    #[serde(with = "size")]
    pub label_value_bytes_max: usize,
    /// How far ahead of the clock a sample may be. Longer: a sender with a wrong clock does more
    /// harm before it is noticed.
    #[serde(with = "duration")]
    pub future_max: Duration,
    /// How far behind the clock a sample may be; null for no limit. Backfill needs null; a bound
    /// keeps late samples from making blocks for old times.
    #[serde(with = "duration::optional")]
    pub age_max: Option<Duration>,
    /// The longest life span (`ttl`) of a sample. Longer ones make every query look further back.
    #[serde(with = "duration")]
    pub ttl_max: Duration,
    /// A request's body as it comes. A larger one gets 413; senders drop it then, so lower it with
    /// care.
    #[serde(with = "size")]
    pub body_bytes_max: usize,
    /// A request's body after decompression. Up to three times as much memory is held while it is
    /// worked on.
    #[serde(with = "size")]
    pub decoded_body_bytes_max: usize,
    /// Buckets of one native histogram, both sides together. A histogram with more is refused.
    pub histogram_buckets_max: usize,
    /// Exemplars in memory; beyond it, the oldest of the series that has the most make room.
    pub exemplars_max: usize,
    /// All label names and values of one exemplar, in characters: the limit of OpenMetrics.
    pub exemplar_label_chars_max: usize,
    /// Metric families with metadata; those of more are dropped and counted. From nine tenths of it
    /// on, those that nobody told of for two flushes make room.
    pub metadata_families_max: usize,
    /// Name, help and unit of one family together, in bytes.
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

/// How the samples of two equal Prometheus servers become one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HaLimits {
    /// Whether samples with both labels are taken from one replica of a cluster only. Off: each
    /// replica's samples are series of their own.
    pub enabled: bool,
    /// The label that names the pair. It stays.
    pub cluster_label: String,
    /// The label that tells the two apart. It is taken away before samples are stored.
    pub replica_label: String,
    /// Another replica is elected when the elected one has sent nothing for this long. Shorter: a
    /// smaller hole when a server dies, and more changes when senders stall. Keep it above several
    /// scrape intervals.
    #[serde(with = "duration")]
    pub failover_timeout: Duration,
    /// How many pairs a tenant may have. Samples of one more are refused with 400: a label that is
    /// no cluster's would make a pair of every value, and each pair costs a request and some
    /// memory.
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

/// What a tenant may ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryLimits {
    /// Queries of the tenant in evaluation at once; more wait for their turn.
    pub concurrency_max: usize,
    /// Queries of the tenant that wait for their turn. One more gets 429.
    pub waiting_max: usize,
    /// The longest that a query waits for its turn and is evaluated, together; a request may ask
    /// for less.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// From the start to the end of a query, and the longest range that a selector or subquery in
    /// it looks back, together; null for no limit.
    #[serde(with = "duration::optional")]
    pub range_max: Option<Duration>,
    /// Points of each series of a range query, less one (as Prometheus counts).
    pub steps_max: usize,
    /// Samples that one query holds at once: 16 bytes of memory each.
    pub samples_max: usize,
    /// The memory for the vectors that one query holds at once, in bytes.
    #[serde(with = "size")]
    pub memory_bytes_max: usize,
    /// The text of a query or of a selector. A dashboard that lists thousands of names in a regex
    /// takes some hundred kilobytes; while a text is read it takes up to fifty times as much
    /// memory.
    #[serde(with = "size")]
    pub text_bytes_max: usize,
    /// What the regexes of one request may take: about the bytes that their automata come to hold.
    /// A pattern that the request repeats counts once, and lists of names take little more than
    /// their text. More lets one request compute for longer, some 6 ms a mebibyte, before it reads
    /// its first series.
    #[serde(with = "size")]
    pub regex_bytes_max: usize,
    /// Series that one selector may read; null for no limit.
    pub series_max: Option<usize>,
    /// Series that `series` and cardinality calls may walk through, and names or values that
    /// `labels` and label values may find.
    pub metadata_series_max: usize,
    /// Exemplars of one answer.
    pub exemplars_max: usize,
    /// The body of one answer, before compression. A larger one is refused where its size is known
    /// before it is sent, else its connection is cut. More lets one request hold its turn for
    /// longer, and makes browsers slow.
    #[serde(with = "size")]
    pub answer_bytes_max: usize,
    /// Samples of one remote-read answer that is one message; a streamed one takes no memory for
    /// them and has no limit.
    pub remote_read_samples_max: usize,
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
            text_bytes_max: 1 << 20,
            regex_bytes_max: 128 << 20,
            series_max: None,
            metadata_series_max: 10_000_000,
            exemplars_max: 100_000,
            answer_bytes_max: 256 << 20,
            remote_read_samples_max: 50_000_000,
        }
    }
}

/// Limits as a tree of keys.
pub(crate) fn tree(limits: &Limits) -> serde_json::Value {
    serde_json::to_value(limits).expect("plain values have JSON")
}
