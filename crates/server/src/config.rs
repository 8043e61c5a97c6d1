//! The settings of a process and their defaults.
//!
//! A key such as `flush.interval` has the flag `--flush-interval` and the variable
//! `DURAMEN_FLUSH_INTERVAL`. The comments of the fields are the texts of `--help` and of
//! `docs/reference/config.md`.

mod address;
mod cache_engine;
mod cors_origin;
mod features;
mod layers;
mod log_format;
mod log_level;
mod memory;
mod print;
#[cfg(test)]
mod reference;
pub mod settings;
mod validate;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use cache_engine::CacheEngine;
use clap::{ArgAction, Args};
use cors_origin::CorsOrigin;
use duramen_bucket::StoreUrl;
use duramen_limits::{Limits, QueryLimits};
use duramen_settings::{Secret, duration, size};
use features::EnabledFeatures;
pub use log_format::LogFormat;
use serde::{Deserialize, Serialize};

/// All settings of a process. The limits of tenants are in the limits file.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The directory of this process. It has the write-ahead log, staged blocks, the writer's
    /// identity, and the store unless `store` is set. Each process needs its own, on a disk that
    /// keeps synced data.
    #[arg(id = "data_dir", value_name = "DIRECTORY")]
    pub data_dir: PathBuf,

    /// The store of blocks: `file:DIRECTORY`, `s3://BUCKET[/PREFIX]`, or `memory:` (for tests).
    /// Without it, `file:` and the folder `store` in the data directory.
    #[arg(id = "store", value_name = "URL")]
    pub store: Option<String>,

    /// Take the store over from a process that did not end cleanly and cannot be seen from here,
    /// such as after the loss of its machine. If that process still runs, it notices within 15 s
    /// and stops. Its samples that are not flushed are then in its data directory only.
    #[arg(id = "take_over", value_name = "BOOL")]
    pub take_over: bool,

    /// The file with the limits of each tenant, read again when it changes. Without it, the
    /// defaults of docs/reference/limits.md apply to all.
    #[arg(id = "limits_file", value_name = "FILE")]
    pub limits_file: Option<PathBuf>,

    /// Take the tenant from the header `X-Scope-OrgID`, and refuse requests without it. Off: all
    /// data belongs to the tenant `anonymous`.
    #[arg(id = "multi_tenancy", value_name = "BOOL")]
    pub multi_tenancy: bool,

    /// The most tenants. A write that would add one more is refused. Each tenant that writes costs
    /// memory and a flush of its own.
    #[arg(id = "tenants_max", value_name = "COUNT")]
    pub tenants_max: usize,

    /// The interval at which the process writes its own metrics, with the label job="duramen"; 0
    /// for never.
    #[arg(id = "self_scrape_interval", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub self_scrape_interval: Duration,

    /// The level of the log: error, warn, info, debug, trace, or a filter such as
    /// `info,duramen_ingest=debug`. More detail than info costs time in every request.
    #[arg(id = "log_level", value_name = "LEVEL", value_parser = log_level::parse)]
    #[serde(deserialize_with = "log_level::deserialize")]
    pub log_level: String,

    /// The form of the log's lines on stderr: `text` for people, or `json`, an object in each line
    /// with `timestamp`, `level`, `target` and `fields`. With `json` there is no greeting on stdout.
    #[arg(id = "log_format", value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// Features that Prometheus has behind `--enable-feature`, by its names and separated by
    /// commas: `promql-delayed-name-removal`, `type-and-unit-labels`, `use-start-timestamps`. Each
    /// changes answers, and the second also changes what is stored: see docs/promql.md.
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
    pub compact: CompactConfig,
    #[command(flatten)]
    pub query: QueryConfig,
    #[command(flatten)]
    pub cache: CacheConfig,
}

/// The HTTP edge.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// The address for HTTP: an IP address or `localhost`, and a port. Without an address, such as
    /// `:7480`, all addresses of the machine. There is no TLS and no authentication: clients on other
    /// machines should come through a proxy.
    #[arg(id = "http.listen", value_name = "ADDRESS:PORT", value_parser = address::parse)]
    #[serde(deserialize_with = "address::deserialize")]
    pub listen: SocketAddr,

    /// The origins whose pages may call the API from a browser: a regex over the whole origin, such
    /// as `https?://(a|b)\.example\.org`.
    #[arg(id = "http.cors_origin", value_name = "REGEX")]
    pub cors_origin: CorsOrigin,

    /// Let everybody flush all tenants with `flush?all=true` while multi-tenancy is on. Off: such
    /// requests get 403.
    #[arg(id = "http.flush_all", value_name = "BOOL")]
    pub flush_all: bool,

    /// Let everybody delete series of their tenant with `delete_series` and `clean_tombstones`, as
    /// `--web.enable-admin-api` of Prometheus does. Off: such requests get 503, except at
    /// `http.operator_listen`. What is deleted does not come back.
    #[arg(id = "http.admin_api", value_name = "BOOL")]
    pub admin_api: bool,

    /// A second address for HTTP, for the operator. There, `/metrics` and `status/self_metrics`
    /// show all tenants, `flush?all=true` flushes all, and a reload shows its faults. Its clients
    /// see the names of all tenants, so tenants should not reach it.
    #[arg(id = "http.operator_listen", value_name = "ADDRESS:PORT")]
    pub operator_listen: Option<SocketAddr>,

    /// Let `http.listen` show the metrics of all tenants too while multi-tenancy is on, and open
    /// the tenant `duramen`, which has the process's own metrics. Off: a tenant sees its own
    /// metrics and those of no tenant.
    #[arg(id = "http.metrics_all", value_name = "BOOL")]
    pub metrics_all: bool,

    /// The most open connections. A further connection closes the one that has been idle for
    /// longest. If none is idle, the new one gets 503, except at `/-/healthy` and `/-/ready`.
    /// Without it, half of the file descriptors that the system allows, and 10,000 at most. Each
    /// takes a descriptor and up to some 100 KiB.
    #[arg(id = "http.connections_max", value_name = "COUNT")]
    pub connections_max: Option<usize>,

    /// The memory for bodies of writes while they are read. One tenant may hold as much of it as it
    /// leaves free. A body that does not fit waits for at most `writes.wait_max`, then it gets 503.
    /// More: larger bursts of large bodies are taken.
    #[arg(id = "http.bodies_bytes_max", value_name = "SIZE", value_parser = size::parse)]
    #[serde(with = "size")]
    pub bodies_bytes_max: usize,

    /// The longest time in which the body of a request may arrive. A slower one gets 408 and its
    /// connection is closed. More than the sender's own time-out (30 s in Prometheus) is of no use.
    #[arg(id = "http.body_read_max", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub body_read_max: Duration,

    /// The least bytes per second of a body, on average and from its fifth second on. A slower one
    /// gets 408 and its connection is closed. Lower: senders with slow lines pass, and a malicious
    /// sender holds memory for longer.
    #[arg(id = "http.body_bytes_per_second_min", value_name = "SIZE", value_parser = size::parse)]
    #[serde(with = "size")]
    pub body_bytes_per_second_min: usize,

    /// The longest time in which a client may take nothing of its answer. Then it is cut off. Until
    /// then its query holds its turn and its memory.
    #[arg(id = "http.answer_stall_max", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub answer_stall_max: Duration,

    /// The longest time that an answer may wait for its client, in all. Longer: slow clients get
    /// large answers, and their queries hold their turns and their memory for longer.
    #[arg(id = "http.answer_write_max", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub answer_write_max: Duration,

    /// The longest time that requests in work may take to end after SIGTERM. Then their connections
    /// are cut, and the process ends. A second SIGTERM ends it at once. It should be less than the
    /// time after which the system kills the process (30 s in Kubernetes, 90 s in systemd).
    #[arg(id = "http.stop_wait_max", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub stop_wait_max: Duration,
}

/// The account of memory.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// The memory that bodies, heads, queries, answers and caches may hold together. Beyond it a
    /// single request fails, and queries fail before writes. Without it, 70 % of what the system
    /// allows, which is the machine's memory or the limit of the control group if that is less (50
    /// % of a `ulimit -v` or `-d`). The rest is for memory that is not counted. If the rest is too
    /// small, the system may kill the process.
    #[arg(id = "memory.bytes_max", value_name = "SIZE", value_parser = size::parse)]
    #[serde(with = "size::optional")]
    pub bytes_max: Option<usize>,
}

/// A store of the kind `s3:`.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3Config {
    /// The URL of a store that is not AWS, such as `http://127.0.0.1:9000`. With `http:`, plain
    /// HTTP is used.
    #[arg(id = "s3.endpoint", value_name = "URL")]
    pub endpoint: Option<String>,

    /// The region. Without it, the region of the usual environment (`AWS_REGION`).
    #[arg(id = "s3.region", value_name = "REGION")]
    pub region: Option<String>,

    /// Whether requests have the bucket in the path and not in the host name. Without it: yes if an
    /// endpoint is set, else no.
    #[arg(id = "s3.path_style", value_name = "BOOL", action = ArgAction::Set)]
    pub path_style: Option<bool>,

    /// The access key. Without it, credentials come from the usual environment: `AWS_ACCESS_KEY_ID`
    /// and `AWS_SECRET_ACCESS_KEY`, a web identity, or the instance's own. It is refused on the
    /// command line, which every user of the machine can read.
    #[arg(
        id = "s3.access_key_id",
        value_name = "SECRET",
        hide = true,
        hide_env_values = true
    )]
    pub access_key_id: Option<Secret>,

    /// The secret of the access key. Both must be set together. It is refused on the command line.
    #[arg(
        id = "s3.secret_access_key",
        value_name = "SECRET",
        hide = true,
        hide_env_values = true
    )]
    pub secret_access_key: Option<Secret>,

    /// The session token of temporary credentials. It needs the two other keys. It is refused on
    /// the command line.
    #[arg(
        id = "s3.session_token",
        value_name = "SECRET",
        hide = true,
        hide_env_values = true
    )]
    pub session_token: Option<Secret>,
}

/// Requests to the store, whatever its kind.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BucketConfig {
    /// The most requests to the store at once. More: the store's latency is hidden better, and as
    /// many bodies take memory.
    #[arg(id = "bucket.requests_max", value_name = "COUNT")]
    pub requests_max: usize,

    /// The time from a request to the first byte of its answer. Without it, the probe at the start
    /// measures it. Longer: queries read larger gaps between the bytes that they need, and so send
    /// fewer requests.
    #[arg(id = "bucket.trip", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration::optional")]
    pub trip: Option<Duration>,

    /// How many bytes of one answer come in a second. Without it, the probe at the start measures
    /// it. More: as for a longer trip.
    #[arg(id = "bucket.bytes_per_second", value_name = "SIZE", value_parser = size::parse)]
    #[serde(with = "size::optional")]
    pub bytes_per_second: Option<usize>,

    /// Send a GET of a block once more when it is slower than 95 in 100 of its size. The first
    /// answer wins. A query then seldom waits for the slowest of many requests, at 5 % more
    /// requests at most.
    #[arg(id = "bucket.hedges", value_name = "BOOL")]
    pub hedges: bool,
}

/// The write-ahead log.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WalConfig {
    /// The largest size of a segment. A segment is deleted when all of its samples are flushed.
    /// Smaller: disk space is freed sooner, with more files and with more series definitions that
    /// are written again.
    #[arg(id = "wal.segment_bytes_max", value_name = "SIZE", value_parser = size::parse)]
    #[serde(with = "size")]
    pub segment_bytes_max: usize,
}

/// Writes in work.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WritesConfig {
    /// The memory for writes in work, with their columns. Further writes wait for their turn. More:
    /// larger bursts are taken. The default is at most 12 % of `memory.bytes_max`; a higher value
    /// is limited to 50 %.
    #[arg(id = "writes.in_flight_bytes_max", value_name = "SIZE", value_parser = size::parse)]
    #[serde(with = "size")]
    pub in_flight_bytes_max: usize,

    /// The longest time that a write waits for its turn. Then it gets 503. More than the sender's
    /// own time-out is of no use.
    #[arg(id = "writes.wait_max", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub wait_max: Duration,
}

/// Samples in memory.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeadConfig {
    /// The memory of all heads from which on the largest are flushed. At twice this size, writes
    /// get 503 until a flush has freed memory. More: fewer and larger blocks when much is written.
    /// The default is at most 15 % of `memory.bytes_max`; a higher value is limited to 40 %.
    #[arg(id = "head.bytes_max", value_name = "SIZE", value_parser = size::parse)]
    #[serde(with = "size")]
    pub bytes_max: usize,
    /// The memory of the labels, the index and the metadata of all heads. Beyond it no tenant gets
    /// a new series, and known series go on. A series takes some 300 bytes. `series_bytes_max` in
    /// the limits file bounds each tenant. The default is at most 25 % of `memory.bytes_max`; a
    /// higher value is limited to 80 %.
    #[arg(id = "head.series_bytes_max", value_name = "SIZE", value_parser = size::parse)]
    #[serde(with = "size")]
    pub series_bytes_max: usize,
}

/// When samples go to the store.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlushConfig {
    /// The time from the first sample of a head until the head is flushed to the store. Shorter:
    /// less to replay, less memory, and less is lost with the disk. Each flush of a tenant costs
    /// three PUTs for a block and one for the manifest.
    #[arg(id = "flush.interval", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub interval: Duration,

    /// The longest time that a process which was asked to end flushes all heads, within
    /// `http.stop_wait_max`. The next start then has nothing to replay, and nothing is only on this
    /// disk. 0: it does not flush, ends at once, and the next start replays the log.
    #[arg(id = "flush.end_wait_max", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub end_wait_max: Duration,
}

/// When blocks are merged.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompactConfig {
    /// Merge blocks: into windows of two hours, and then into days. Off: long queries open all
    /// blocks of all flushes, unless `duramen compact` merges them. What it has replaced is deleted
    /// in both cases.
    #[arg(id = "compact.merge", value_name = "BOOL")]
    pub merge: bool,

    /// Make rollups of 5 minutes and of an hour of each day that is over. They take some 0.4 bytes
    /// for each sample, and make queries over weeks quick. Off: none are made; those that are there
    /// are read as before.
    #[arg(id = "compact.rollups", value_name = "BOOL")]
    pub rollups: bool,

    /// The pause between two rounds over all tenants. A round takes a few GETs for each tenant with
    /// something to merge.
    #[arg(id = "compact.interval", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub interval: Duration,

    /// The memory that a merge may take, at most an eighth of `memory.bytes_max`. While queries
    /// need it, merges wait. Less: fewer samples are merged at once, which takes longer.
    #[arg(id = "compact.memory_bytes", value_name = "SIZE", value_parser = size::parse)]
    #[serde(with = "size")]
    pub memory_bytes: usize,

    /// A block that a merge has replaced is deleted after this time. Three quarters of it must be
    /// longer than the longest query, which may have begun with the block. The manifest is looked
    /// at four times in it.
    #[arg(id = "compact.grace", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub grace: Duration,

    /// Replaced blocks without deleted samples are kept for so long, if that is longer than the
    /// grace. `as_of` reads past states as far back. A day costs what its merges have replaced:
    /// about four times the bytes of the day.
    #[arg(id = "compact.history", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub history: Duration,

    /// The pause between two looks for objects that nothing needs, such as those of a process that
    /// died. A look takes three LISTs for each tenant, and one more for each 1,000 objects of its
    /// blocks. 0: this server does not look.
    #[arg(id = "compact.clean_interval", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub clean_interval: Duration,

    /// An object that no manifest names is deleted when it is so old. A process that takes longer
    /// from the upload of a block to its commit has to upload it again.
    #[arg(id = "compact.clean_age", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub clean_age: Duration,
}

/// Queries.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryConfig {
    /// The longest time that a query may take, unless the limits file says otherwise. Longer: slow
    /// queries hold their memory for longer.
    #[arg(id = "query.timeout", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub timeout: Duration,

    /// How far a query looks back for the newest sample of a series. It should be at least two
    /// scrape intervals, or else series come and go.
    #[arg(id = "query.lookback_delta", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub lookback_delta: Duration,

    /// How often a process looks for blocks that others have committed, such as those of an import,
    /// while a tenant is queried: one GET for each tenant. No query waits for it; the next ones know
    /// of the blocks. `0`: only after its own flushes and merges.
    #[arg(id = "query.look_interval", value_name = "DURATION", value_parser = duration::parse)]
    #[serde(with = "duration")]
    pub look_interval: Duration,
}

/// The cache of the store.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// The memory for verified parts of blocks. More: fewer requests to the store, and faster
    /// queries of data that was read before. The default is at most 25 % of `memory.bytes_max`; a
    /// higher value is limited to 60 %.
    #[arg(id = "cache.bytes_max", value_name = "SIZE", value_parser = size::parse)]
    #[serde(with = "size")]
    pub bytes_max: usize,

    /// The space on the local disk for verified parts of blocks, which survive a restart. `0`:
    /// none. Without it, a tenth of the disk and 10 GiB at most; none if the store is a directory.
    /// The cache leaves a twentieth of the disk free, or 4 GiB.
    #[arg(id = "cache.disk_bytes_max", value_name = "SIZE", value_parser = size::parse)]
    #[serde(with = "size::optional")]
    pub disk_bytes_max: Option<usize>,

    /// The folder of the disk cache, which must be empty at first and belongs to this process
    /// alone. Without it, `cache` in the data directory.
    #[arg(id = "cache.directory", value_name = "PATH")]
    pub directory: Option<PathBuf>,

    /// How the disk cache keeps its entries: `files`, one file for each, or `foyer`, large files
    /// with many. Another engine empties the folder.
    #[arg(id = "cache.engine", value_name = "NAME")]
    pub engine: CacheEngine,
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
            log_format: LogFormat::default(),
            features: EnabledFeatures::default(),
            http: HttpConfig::default(),
            memory: MemoryConfig::default(),
            s3: S3Config::default(),
            bucket: BucketConfig::default(),
            wal: WalConfig::default(),
            writes: WritesConfig::default(),
            head: HeadConfig::default(),
            flush: FlushConfig::default(),
            compact: CompactConfig::default(),
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
            admin_api: false,
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
            trip: None,
            bytes_per_second: None,
            hedges: true,
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
            end_wait_max: Duration::from_secs(20),
        }
    }
}

impl CompactConfig {
    /// How long a replaced block without deleted samples is kept.
    pub fn kept(&self) -> Duration {
        self.grace.max(self.history)
    }
}

impl Default for CompactConfig {
    fn default() -> Self {
        Self {
            merge: true,
            rollups: true,
            interval: Duration::from_secs(5 * 60),
            memory_bytes: 256 << 20,
            grace: Duration::from_secs(60 * 60),
            history: Duration::from_secs(60 * 60),
            clean_interval: Duration::from_secs(6 * 60 * 60),
            clean_age: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            timeout: QueryLimits::default().timeout,
            lookback_delta: Duration::from_secs(5 * 60),
            look_interval: Duration::from_secs(30),
        }
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            bytes_max: 2 << 30,
            disk_bytes_max: None,
            directory: None,
            engine: CacheEngine::default(),
        }
    }
}

impl Config {
    /// Returns the store's URL, or its default.
    pub fn store_url(&self) -> Result<StoreUrl, duramen_bucket::Error> {
        self.store.as_ref().map_or_else(
            || Ok(StoreUrl::File(self.data_dir.join("store"))),
            |url| url.parse(),
        )
    }

    /// Returns the interval at which own metrics are written; `None` for never.
    pub fn self_scrape(&self) -> Option<Duration> {
        (!self.self_scrape_interval.is_zero()).then_some(self.self_scrape_interval)
    }

    /// Returns the limits of a tenant that the limits file does not name.
    pub fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        limits.query.timeout = self.query.timeout;
        limits
    }
}
