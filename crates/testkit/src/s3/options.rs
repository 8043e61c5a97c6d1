//! The options of a server.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;

/// How the server behaves. The default is a correct store with the bucket `test` on a free port.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// A loop-back address; any other is refused. Port 0 takes a free port.
    pub listen: SocketAddr,
    /// The name of the bucket. Any other name in a request is `NoSuchBucket`.
    pub bucket: String,
    /// The objects at the start, for example from
    /// [`S3::clone_contents`](super::S3::clone_contents).
    pub contents: BTreeMap<String, Bytes>,
    /// If set, requests that are signed with any other access key are refused with 403.
    pub require_key: Option<String>,
    /// If false, `If-None-Match` and `If-Match` of a write are ignored: it overwrites and returns
    /// 200, as some stores do.
    pub honest_conditional_puts: bool,
    /// What `GET ?versioning` answers. Old versions are never kept.
    pub versioned: bool,
    /// What `GET ?object-lock` answers. Deletes always work, as deletes without a version do in S3.
    pub locked: bool,
    /// The smallest size in bytes of each part of an upload but the last.
    pub part_bytes_min: usize,
    /// How many entries the request log keeps. The oldest are dropped first. Counters have no
    /// limit.
    pub log_entries_max: usize,
    /// The seed for rules with a probability that are added by [`S3::inject`](super::S3::inject).
    pub seed: u64,
    /// Whether to serve `/_admin/...` without a signature: counters, and the outage switch.
    pub admin: bool,
}

impl Default for S3Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            bucket: "test".to_owned(),
            contents: BTreeMap::new(),
            require_key: None,
            honest_conditional_puts: true,
            versioned: false,
            locked: false,
            part_bytes_min: 5 << 20,
            log_entries_max: 100_000,
            seed: 0,
            admin: false,
        }
    }
}
