//! `meta.json` of a block.

use std::collections::BTreeMap;
use std::path::Path;

use duramen_model::TimeRange;
use duramen_runtime::Disk;
use serde::Deserialize;
use ulid::Ulid;

use crate::error::Error;

/// The name of the file.
pub const META_FILE: &str = "meta.json";

/// The version of a block's layout that is read here.
const VERSION: u64 = 1;
/// A larger file is none.
const BYTES_MAX: u64 = 16 << 20;

/// External labels by which Mimir and Cortex tell their own blocks apart. They belong to no series.
const OWN_LABELS: [&str; 3] = ["__org_id__", "__ingester_id__", "__compactor_shard_id__"];

/// What is known of a block without its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    pub ulid: Ulid,
    /// The times of its samples, half-open.
    pub range: TimeRange,
    /// What Thanos adds to the labels of each series.
    pub external_labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    ulid: Ulid,
    min_time: i64,
    max_time: i64,
    version: u64,
    #[serde(default)]
    thanos: Thanos,
}

#[derive(Debug, Default, Deserialize)]
struct Thanos {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    downsample: Downsample,
}

#[derive(Debug, Default, Deserialize)]
struct Downsample {
    /// In milliseconds; 0 for raw samples.
    #[serde(default)]
    resolution: i64,
}

impl Meta {
    /// Reads `meta.json` in the directory of a block.
    pub fn read(disk: &dyn Disk, directory: &Path) -> Result<Self, Error> {
        let path = directory.join(META_FILE);
        let failed = |source| Error::Disk {
            path: path.clone(),
            source,
        };

        if disk.stat(&path).map_err(failed)?.length > BYTES_MAX {
            return Err(Error::Malformed {
                path,
                offset: 0,
                what: "meta.json has more than 16 MiB",
            });
        }

        let bytes = disk.read(&path).map_err(failed)?;
        let raw: Raw = serde_json::from_slice(&bytes).map_err(|source| Error::Meta {
            path: path.clone(),
            source,
        })?;

        let unsupported = |what: String| {
            Err(Error::Unsupported {
                path: path.clone(),
                what,
            })
        };

        if raw.version != VERSION {
            return unsupported(format!("a block of version {} cannot be read", raw.version));
        }

        let resolution = raw.thanos.downsample.resolution;
        if resolution != 0 {
            return unsupported(format!(
                "the block was downsampled by Thanos to {resolution} ms, and only raw blocks can be read"
            ));
        }

        let Some(range) = TimeRange::new(raw.min_time, raw.max_time) else {
            return Err(Error::Malformed {
                path,
                offset: 0,
                what: "minTime is not before maxTime",
            });
        };

        let mut external_labels = raw.thanos.labels;
        external_labels.retain(|name, _| !OWN_LABELS.contains(&name.as_str()));

        Ok(Self {
            ulid: raw.ulid,
            range,
            external_labels,
        })
    }
}
