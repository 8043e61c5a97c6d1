//! The settings of a process: what can be set, and what holds when nothing is said.
//!
//! A key such as `flush.interval` has the flag `--flush-interval` and the variable
//! `DURAMEN_FLUSH_INTERVAL`. The comments of the fields are what `--help` and
//! `docs/reference/config.md` say.

mod cors_origin;
mod features;
mod layers;
mod memory;
mod print;
#[cfg(test)]
mod reference;
pub mod settings;
mod validate;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};
use cors_origin::CorsOrigin;
use duramen_bucket::StoreUrl;
use duramen_limits::{Limits, QueryLimits};
use duramen_settings::{Secret, duration, size};
use features::EnabledFeatures;
use serde::{Deserialize, Serialize};

/// Everything that can be set for a process; what a tenant may use is in the limits file.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The directory of this process: write-ahead log, staged blocks, the writer's identity, and
    /// the store unless `store` says otherwise. One process per directory, on a disk that keeps
    /// what it has synced.
    #[arg(id = "data_dir", value_name = "DIRECTORY")]
    pub data_dir: PathBuf,

    /// Where blocks are kept: `file:DIRECTORY`, `s3://BUCKET[/PREFIX]`, or `memory:` (for tests).
    /// Without it, `file:` and the folder `store` in the data directory.
    #[arg(id = "store", value_name = "URL")]
    pub store: Option<String>,

    /// Take the store from a process that has not said that it is done and cannot be seen from
    /// here, as after the loss of its machine. A process that still runs learns of it within 15 s
    /// and stops; what it has not flushed is then in its data directory only.
    #[arg(
        id = "take_over",
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = clap::builder::BoolishValueParser::new(),
    )]
    pub take_over: bool,

    /// The file of what each tenant may use, read again when it changes. Without it, the defaults
    /// of docs/reference/limits.md apply to all.
    #[arg(id = "limits_file", value_name = "FILE")]
    pub limits_file: Option<PathBuf>,

    /// Take the tenant from the header `X-Scope-OrgID` and refuse requests without it. Off:
    /// everything is the tenant `anonymous`.
    #[arg(
        id = "multi_tenancy",
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = clap::builder::BoolishValueParser::new(),
    )]
    pub multi_tenancy: bool,

    /// How many tenants may exist: a write for one more is refused. Each tenant that writes costs
    /// memory and a flush of its own.
    #[arg(id = "tenants_max", value_name = "COUNT")]
    pub tenants_max: usize,

    /// How often the process writes its own metrics, with the label job="duramen"; 0 for never.
    #[arg(id = "self_scrape_interval", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub self_scrape_interval: Duration,

    /// error, warn, info, debug, trace, or a filter such as `info,duramen_ingest=debug`. More than
    /// info costs time in every request.
    #[arg(id = "log_level", value_name = "LEVEL")]
    pub log_level: String,

    /// What Prometheus has behind `--enable-feature`, by its names there with commas between:
    /// `promql-delayed-name-removal`, `type-and-unit-labels`, `use-start-timestamps`. Each changes
    /// answers, and the second what is stored: see docs/promql.md.
    #[arg(id = "features", value_name = "NAMES")]
    pub features: EnabledFeatures,

    #[command(flatten)]
    pub http: HttpConfig,
    #[command(flatten)]
    pub memory: MemoryConfig,
    #[command(flatten)]
    pub s3: S3Config,
    #[command(flatten)]
    pub bucket: BucketConfig,
    #[command(flatten)]
    pub wal: WalConfig,
    #[command(flatten)]
    pub writes: WritesConfig,
    #[command(flatten)]
    pub head: HeadConfig,
    #[command(flatten)]
    pub flush: FlushConfig,
    #[command(flatten)]
    pub query: QueryConfig,
    #[command(flatten)]
    pub cache: CacheConfig,
}

/// The HTTP edge.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Where HTTP is served. There is no TLS and no authentication: others than this machine belong
    /// behind a proxy.
    #[arg(id = "http.listen", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,

    /// The origins whose pages may call the API from a browser: a regex over the whole origin, such
    /// as `https?://(a|b)\.example\.org`.
    #[arg(id = "http.cors_origin", value_name = "REGEX")]
    pub cors_origin: CorsOrigin,

    /// Let `flush?all=true` flush every tenant while multi-tenancy is on. Whoever reaches the port
    /// may then do so; off: 403.
    #[arg(
        id = "http.flush_all",
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = clap::builder::BoolishValueParser::new(),
    )]
    pub flush_all: bool,

    /// Where HTTP is served to the operator as well: there, `/metrics` and `status/self_metrics`
    /// tell of all tenants, `flush?all=true` flushes all, and a reload tells its faults. Whoever
    /// reaches it sees the names of all tenants: keep it from them.
    #[arg(id = "http.operator_listen", value_name = "ADDRESS:PORT")]
    pub operator_listen: Option<SocketAddr>,

    /// Let the metrics of the process tell of all tenants at `http.listen` too while multi-tenancy
    /// is on, and open the tenant `duramen` that keeps them. Off: a tenant sees those of nobody and
    /// its own.
    #[arg(
        id = "http.metrics_all",
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = clap::builder::BoolishValueParser::new(),
    )]
    pub metrics_all: bool,

    /// How many connections may be open. For one more, the connection that has been without a
    /// request for longest is closed; when all have one, the new one is answered 503, except at
    /// `/-/healthy` and `/-/ready`. Without it, half of the file descriptors that the system
    /// allows, and 10,000 at most. Each takes a descriptor and up to some 100 KiB.
    #[arg(id = "http.connections_max", value_name = "COUNT")]
    pub connections_max: Option<usize>,

    /// Memory for the bodies of writes while they are read. One tenant may hold as much of it as it
    /// leaves free. A body that does not fit waits, for `writes.wait_max` at most; then it gets 503.
    /// More takes bursts of large bodies better.
    #[arg(id = "http.bodies_bytes_max", value_name = "SIZE", value_parser = size::parse)]
    #[serde(with = "size")]
    pub bodies_bytes_max: usize,

    /// How long the body of a request may take to come. A slower one gets 408 and its connection is
    /// closed. Longer than the sender's own time-out is of no use (30 s in Prometheus).
    #[arg(id = "http.body_read_max", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub body_read_max: Duration,

    /// What a body must bring in each second, on average and from its fifth second on. A slower one
    /// gets 408 and its connection is closed. Lower: senders behind slow lines pass, and a sender
    /// that does harm holds memory for longer.
    #[arg(id = "http.body_bytes_per_second_min", value_name = "SIZE", value_parser = size::parse)]
    #[serde(with = "size")]
    pub body_bytes_per_second_min: usize,

    /// A client that takes nothing of its answer for so long is cut off. Its query holds its turn
    /// and its memory until then.
    #[arg(id = "http.answer_stall_max", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub answer_stall_max: Duration,

    /// How long an answer may wait for its client in all. Longer: slow clients get large answers,
    /// and their queries hold their turns and their memory for longer.
    #[arg(id = "http.answer_write_max", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub answer_write_max: Duration,

    /// How long requests in work may take to end after SIGTERM. Then their connections are cut, and
    /// the process ends. A second SIGTERM ends it at once. Keep it below the time after which the
    /// system kills (30 s in Kubernetes, 90 s in systemd).
    #[arg(id = "http.stop_wait_max", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub stop_wait_max: Duration,
}

/// The account of memory.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// The memory that bodies, heads, queries, answers and caches may hold together. Over it a
    /// request fails alone, a query before a write. Without it, 70 % of what the system allows: the
    /// machine's memory, or the limit of the control group where that is less (50 % of a `ulimit -v`
    /// or `-d`). What is left is for what is not counted; with less left, the system may end the
    /// process.
    #[arg(id = "memory.bytes_max", value_name = "SIZE", value_parser = size::parse)]
    #[serde(with = "size::optional")]
    pub bytes_max: Option<usize>,
}

/// A store of the kind `s3:`.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3Config {
    /// The URL of a store that is not AWS, such as `http://127.0.0.1:9000`. Plain HTTP is spoken
    /// when it says `http:`.
    #[arg(id = "s3.endpoint", value_name = "URL")]
    pub endpoint: Option<String>,

    /// The region; without it, that of the usual environment (`AWS_REGION`).
    #[arg(id = "s3.region", value_name = "REGION")]
    pub region: Option<String>,

    /// Whether the bucket stands in the path rather than in the host name. Without it: yes with an
    /// endpoint, else no.
    #[arg(id = "s3.path_style", value_name = "BOOL", action = ArgAction::Set)]
    pub path_style: Option<bool>,

    /// The access key. Without it, credentials come from the usual environment: `AWS_ACCESS_KEY_ID`
    /// and `AWS_SECRET_ACCESS_KEY`, a web identity, or the instance's own. Refused on the command
    /// line, where every user of the machine can read it.
    #[arg(
        id = "s3.access_key_id",
        value_name = "SECRET",
        hide = true,
        hide_env_values = true
    )]
    pub access_key_id: Option<Secret>,

    /// The secret of the access key; the two go together. Refused on the command line.
    #[arg(
        id = "s3.secret_access_key",
        value_name = "SECRET",
        hide = true,
        hide_env_values = true
    )]
    pub secret_access_key: Option<Secret>,

    /// The session token of temporary credentials; it goes with the two others. Refused on the
    /// command line.
    #[arg(
        id = "s3.session_token",
        value_name = "SECRET",
        hide = true,
        hide_env_values = true
    )]
    pub session_token: Option<Secret>,
}

/// Requests to the store, of whatever kind.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BucketConfig {
    /// The most requests to the store at once. More hides more of the store's latency, and takes
    /// memory for as many bodies.
    #[arg(id = "bucket.requests_max", value_name = "COUNT")]
    pub requests_max: usize,
}

/// The write-ahead log.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WalConfig {
    /// The largest segment. A segment goes when all in it is flushed: smaller ones free the disk
    /// sooner, at more files and more definitions of series that are written again.
    #[arg(id = "wal.segment_bytes_max", value_name = "SIZE", value_parser = size::parse)]
    #[serde(with = "size")]
    pub segment_bytes_max: usize,
}

/// Writes under way.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WritesConfig {
    /// Memory for requests in work, their columns included; more wait for their turn. More takes
    /// bursts better. The default is at most 12 % of `memory.bytes_max`; more than 50 % is not
    /// given.
    #[arg(id = "writes.in_flight_bytes_max", value_name = "SIZE", value_parser = size::parse)]
    #[serde(with = "size")]
    pub in_flight_bytes_max: usize,

    /// How long a write waits for its turn before it gets 503. Longer than the sender's own
    /// time-out is of no use.
    #[arg(id = "writes.wait_max", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub wait_max: Duration,
}

/// Samples in memory.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeadConfig {
    /// The memory of all heads at which the largest are flushed; at twice of it writes get 503
    /// until a flush has made room. More makes fewer and larger blocks when much is written. The
    /// default is at most 15 % of `memory.bytes_max`; more than 40 % is not given.
    #[arg(id = "head.bytes_max", value_name = "SIZE", value_parser = size::parse)]
    #[serde(with = "size")]
    pub bytes_max: usize,
    /// The memory of the labels, the index and the metadata of all heads: beyond it no tenant gets
    /// a new series, and samples of known ones go on. A series takes some 300 bytes.
    /// `series_bytes_max` in the limits file bounds each tenant. The default is at most 25 % of
    /// `memory.bytes_max`; more than 80 % is not given.
    #[arg(id = "head.series_bytes_max", value_name = "SIZE", value_parser = size::parse)]
    #[serde(with = "size")]
    pub series_bytes_max: usize,
}

/// When samples go to the store.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlushConfig {
    /// A head is flushed to the store this long after its first sample. Shorter: less to replay,
    /// less memory, less that is lost with the disk, at three PUTs a block and one for the
    /// manifest, for each tenant and flush.
    #[arg(id = "flush.interval", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub interval: Duration,
}

/// Queries.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryConfig {
    /// The longest that a query takes, where the limits file does not say otherwise. A longer one
    /// holds its memory for longer.
    #[arg(id = "query.timeout", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub timeout: Duration,

    /// How far a query looks back for the newest sample of a series. At least two scrape intervals,
    /// or series come and go.
    #[arg(id = "query.lookback_delta", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub lookback_delta: Duration,
}

/// What is kept of the store.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Verified parts of blocks kept in memory. More: fewer requests to the store, faster queries
    /// of what was asked before. The default is at most 25 % of `memory.bytes_max`; more than 60 %
    /// is not given.
    #[arg(id = "cache.bytes_max", value_name = "SIZE", value_parser = size::parse)]
    #[serde(with = "size")]
    pub bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./duramen-data"),
            store: None,
            take_over: false,
            limits_file: None,
            multi_tenancy: false,
            tenants_max: 100_000,
            self_scrape_interval: Duration::from_secs(15),
            log_level: "info".to_owned(),
            features: EnabledFeatures::default(),
            http: HttpConfig::default(),
            memory: MemoryConfig::default(),
            s3: S3Config::default(),
            bucket: BucketConfig::default(),
            wal: WalConfig::default(),
            writes: WritesConfig::default(),
            head: HeadConfig::default(),
            flush: FlushConfig::default(),
            query: QueryConfig::default(),
            cache: CacheConfig::default(),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7480)),
            cors_origin: CorsOrigin::default(),
            flush_all: false,
            operator_listen: None,
            metrics_all: false,
            connections_max: None,
            bodies_bytes_max: 128 << 20,
            body_read_max: Duration::from_secs(60),
            body_bytes_per_second_min: 8 << 10,
            answer_stall_max: Duration::from_secs(30),
            answer_write_max: Duration::from_secs(120),
            stop_wait_max: Duration::from_secs(25),
        }
    }
}

impl Default for BucketConfig {
    fn default() -> Self {
        Self {
            requests_max: duramen_bucket::Config::default().requests_max,
        }
    }
}

impl Default for WalConfig {
    fn default() -> Self {
        Self {
            segment_bytes_max: 128 << 20,
        }
    }
}

impl Default for WritesConfig {
    fn default() -> Self {
        Self {
            in_flight_bytes_max: 256 << 20,
            wait_max: Duration::from_secs(10),
        }
    }
}

impl Default for HeadConfig {
    fn default() -> Self {
        Self {
            bytes_max: 512 << 20,
            series_bytes_max: 4 << 30,
        }
    }
}

impl Default for FlushConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(15 * 60),
        }
    }
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            timeout: QueryLimits::default().timeout,
            lookback_delta: Duration::from_secs(5 * 60),
        }
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { bytes_max: 1 << 30 }
    }
}

impl Config {
    /// The store's URL with its default.
    pub fn store_url(&self) -> Result<StoreUrl, duramen_bucket::Error> {
        self.store.as_ref().map_or_else(
            || Ok(StoreUrl::File(self.data_dir.join("store"))),
            |url| url.parse(),
        )
    }

    /// How often to write own metrics; `None` for never.
    pub fn self_scrape(&self) -> Option<Duration> {
        (!self.self_scrape_interval.is_zero()).then_some(self.self_scrape_interval)
    }

    /// The limits of a tenant of which the limits file says nothing.
    pub fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        limits.query.timeout = self.query.timeout;
        limits
    }
}
