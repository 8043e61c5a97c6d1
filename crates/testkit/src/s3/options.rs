//! What a server is started with.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;

/// How the server behaves. `Default` is an honest store named `test` on a free port.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// A loop-back address; anything else is refused. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The one bucket. Another name in a request is `NoSuchBucket`.
    pub bucket: String,
    /// The objects at the start, as from [`S3::clone_contents`](super::S3::clone_contents).
    pub contents: BTreeMap<String, Bytes>,
    /// If set, requests signed with another access key are refused with 403.
    pub require_key: Option<String>,
    /// When false, `If-None-Match` and `If-Match` of a write are ignored and it overwrites with
    /// 200, as some stores do.
    pub honest_conditional_puts: bool,
    /// What `GET ?versioning` answers. Old versions are not kept either way.
    pub versioned: bool,
    /// What `GET ?object-lock` answers. Deletes work either way, as a real delete without a version
    /// does.
    pub locked: bool,
    /// The least size in bytes of each part of an upload but its last.
    pub part_bytes_min: usize,
    /// How many entries the request log holds; the oldest go first. Counters know no limit.
    pub log_entries_max: usize,
    /// Drives the rules given to [`S3::inject`](super::S3::inject) that have a probability.
    pub seed: u64,
    /// Serves `/_admin/...` without a signature: counters, and the outage switch.
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
