//! The settings of a process: flags over `DURAMEN_*` over defaults.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser};
use duramen_bucket::StoreUrl;
use duramen_syntax::parse_duration;

use crate::http::CorsOrigin;

/// Duramen: a time-series database that keeps Prometheus metrics for years in a bucket.
///
/// Without a subcommand: the whole system in one process. Each flag has an environment variable, DURAMEN_ and the flag's name in
/// capitals with underscores.
#[derive(Clone, Debug, Parser)]
#[command(version, about)]
pub struct Config {
    /// Where HTTP is served.
    #[arg(long, env = "DURAMEN_HTTP_LISTEN", default_value = "127.0.0.1:7480", value_name = "ADDRESS:PORT")]
    pub http_listen: SocketAddr,

    /// The origins whose pages may call the API from a browser: a regex over the whole origin, such as
    /// https?://(a|b)\.example\.org.
    #[arg(long, env = "DURAMEN_HTTP_CORS_ORIGIN", default_value = ".*", value_name = "REGEX")]
    pub http_cors_origin: CorsOrigin,

    /// The directory of this process: write-ahead log, staged blocks, the writer's identity, and the store unless --store says
    /// otherwise. One process per directory.
    #[arg(long, env = "DURAMEN_DATA_DIR", default_value = "./duramen-data", value_name = "DIRECTORY")]
    pub data_dir: PathBuf,

    /// Where blocks are kept: file:DIRECTORY, s3://BUCKET[/PREFIX], or memory: (for tests). Default: file: and the folder "store" in
    /// --data-dir.
    #[arg(long, env = "DURAMEN_STORE", value_name = "URL")]
    pub store: Option<StoreUrl>,

    /// The URL of an S3 store that is not AWS, such as http://127.0.0.1:9000. Credentials come from the usual environment, such as
    /// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
    #[arg(long, env = "DURAMEN_S3_ENDPOINT", value_name = "URL")]
    pub s3_endpoint: Option<String>,

    /// The region of the S3 store.
    #[arg(long, env = "DURAMEN_S3_REGION", value_name = "REGION")]
    pub s3_region: Option<String>,

    /// Whether the bucket stands in the path rather than in the host name. Default: yes with an endpoint, else no.
    #[arg(long, env = "DURAMEN_S3_PATH_STYLE", value_name = "BOOL", action = ArgAction::Set)]
    pub s3_path_style: Option<bool>,

    /// Take the tenant from the header X-Scope-OrgID and refuse requests without it. Off: everything is the tenant "anonymous".
    #[arg(long, env = "DURAMEN_MULTI_TENANCY")]
    pub multi_tenancy: bool,

    /// Let flush?all=true flush every tenant while multi-tenancy is on. Whoever reaches the port may then do so; off: 403.
    #[arg(long, env = "DURAMEN_HTTP_FLUSH_ALL")]
    pub http_flush_all: bool,

    /// How often the process writes its own metrics, with the label job="duramen"; 0 for never.
    #[arg(long, env = "DURAMEN_SELF_SCRAPE_INTERVAL", default_value = "15s", value_parser = duration, value_name = "DURATION")]
    pub self_scrape_interval: Duration,

    /// A head is flushed to the store this long after its first sample. Shorter: less to replay and less memory, at three PUTs a
    /// block and one for the manifest, for each tenant and flush.
    #[arg(long, env = "DURAMEN_FLUSH_INTERVAL", default_value = "15m", value_parser = duration, value_name = "DURATION")]
    pub flush_interval: Duration,

    /// The memory of all heads at which the largest are flushed, in MiB.
    #[arg(long, env = "DURAMEN_HEAD_MEBIBYTES_MAX", default_value_t = 512, value_name = "MIB")]
    pub head_mebibytes_max: usize,

    /// Verified parts of blocks kept in memory, in MiB.
    #[arg(long, env = "DURAMEN_CACHE_MEBIBYTES_MAX", default_value_t = 1024, value_name = "MIB")]
    pub cache_mebibytes_max: usize,

    /// The longest evaluation of a query.
    #[arg(long, env = "DURAMEN_QUERY_TIMEOUT", default_value = "2m", value_parser = duration, value_name = "DURATION")]
    pub query_timeout: Duration,

    /// How far a query looks back for the newest sample of a series.
    #[arg(long, env = "DURAMEN_QUERY_LOOKBACK_DELTA", default_value = "5m", value_parser = duration, value_name = "DURATION")]
    pub query_lookback_delta: Duration,

    /// error, warn, info, debug, trace, or a filter such as info,duramen_ingest=debug.
    #[arg(long, env = "DURAMEN_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    pub log_level: String,
}

impl Config {
    /// The store's URL with its default.
    pub fn store(&self) -> StoreUrl {
        self.store.clone().unwrap_or_else(|| StoreUrl::File(self.data_dir.join("store")))
    }

    /// How often to write own metrics; `None` for never.
    pub fn self_scrape(&self) -> Option<Duration> {
        (!self.self_scrape_interval.is_zero()).then_some(self.self_scrape_interval)
    }
}

/// A Prometheus duration such as `1h30m`, or 0.
fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let ms = parse_duration(text).map_err(|e| e.to_string())?;
    u64::try_from(ms).map(Duration::from_millis).map_err(|_| "a duration is not negative".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Config::command().debug_assert();
    }

    #[test]
    fn durations_are_those_of_prometheus() {
        let config = Config::parse_from(["duramen", "--self-scrape-interval", "0", "--flush-interval", "1h30m"]);
        assert_eq!((config.self_scrape(), config.flush_interval), (None, Duration::from_secs(5400)));
    }
}
