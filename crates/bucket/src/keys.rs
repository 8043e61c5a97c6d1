//! The keys of all objects in the bucket. `docs/formats/bucket.md` shows them as a picture.

use duramen_model::{BlockEntry, TenantId};
use object_store::path::Path;

/// The identity of the deployment that owns the store.
pub const DEPLOYMENT: &str = "duramen.json";

/// The object that the probe at the start writes and removes again.
pub const PROBE: &str = "probe";

/// The prefix of the register of tenants, with one object for each slot.
pub const TENANTS: &str = "tenants";

/// The prefix of the chain that tells who writes to the store, with one object for each slot.
pub const CLAIMS: &str = "claims";

/// The prefix of the objects by which workers show that they live.
pub const WORKERS: &str = "workers";

/// Formats a slot number for a key. It has 20 digits, so that keys sort like numbers and every
/// `u64` fits.
pub fn slot(number: u64) -> String {
    format!("{number:020}")
}

/// Parses the slot number at the end of a key. Returns `None` if no chain makes such a key.
pub fn parse_slot(name: &str) -> Option<u64> {
    let is_slot = name.len() == 20 && name.bytes().all(|b| b.is_ascii_digit());
    is_slot.then(|| name.parse().ok()).flatten()
}

pub fn tenant(tenant: TenantId) -> Path {
    Path::from_iter(["t", &tenant.to_string()])
}

/// The prefix of a tenant's chain of edits.
pub fn manifest(tenant: TenantId) -> Path {
    self::tenant(tenant).join("manifest")
}

/// The prefix of the snapshots of a tenant's manifest.
pub fn manifest_snapshots(tenant: TenantId) -> Path {
    self::tenant(tenant).join("manifest-snapshots")
}

/// The key of the state after `sequence` edits, written in one `attempt`. A second attempt for the
/// same sequence has another key.
pub fn manifest_snapshot(tenant: TenantId, sequence: u64, attempt: ulid::Ulid) -> Path {
    manifest_snapshots(tenant).join(format!("{}-{attempt}", slot(sequence)))
}

/// The key of a further part of a snapshot that does not fit into one object.
pub fn manifest_snapshot_part(
    tenant: TenantId,
    sequence: u64,
    attempt: ulid::Ulid,
    part: usize,
) -> Path {
    manifest_snapshots(tenant).join(format!("{}-{attempt}-{part}", slot(sequence)))
}

/// The key of a hint to the newest edits.
pub fn manifest_boundary(tenant: TenantId) -> Path {
    self::tenant(tenant).join("manifest-boundary")
}

/// The object by which a worker shows that it lives.
pub fn worker(worker: ulid::Ulid) -> Path {
    Path::from_iter([WORKERS, &worker.to_string()])
}

/// The prefix of the claims of a tenant's jobs.
pub fn jobs(tenant: TenantId) -> Path {
    self::tenant(tenant).join("jobs")
}

/// The claim of one job, in one attempt. A later attempt takes the job over.
pub fn job(tenant: TenantId, digest: &str, attempt: u32) -> Path {
    jobs(tenant).join(digest).join(format!("{attempt:010}"))
}

/// The prefix of a tenant's chain of HA elections.
pub fn ha(tenant: TenantId) -> Path {
    self::tenant(tenant).join("ha")
}

/// The prefix of all blocks of a tenant.
pub fn blocks(tenant: TenantId) -> Path {
    self::tenant(tenant).join("blocks")
}

/// The prefix of one block, which the manifest of `tenant` names. It is in the folder of the
/// block's home tenant. SQL engines read `block=` as a partition.
pub fn block(tenant: TenantId, entry: &BlockEntry) -> Path {
    blocks(entry.home_of(tenant)).join(format!("block={}", entry.id))
}

/// The key of one file of a block.
pub fn block_file(tenant: TenantId, entry: &BlockEntry, file: &str) -> Path {
    block(tenant, entry).join(file)
}

#[cfg(test)]
mod tests {
    use duramen_model::{BlockId, BlockStats, Content, Order, OrderRange, WriterId};
    use ulid::Ulid;

    use super::*;

    #[test]
    fn slots_sort_as_numbers_do() {
        let numbers = [0, 9, 10, 1_000_000, u64::MAX];
        assert!(numbers.windows(2).all(|w| slot(w[0]) < slot(w[1])));
        assert!(numbers.iter().all(|n| parse_slot(&slot(*n)) == Some(*n)));

        for name in [
            "",
            "1",
            "+0000000000000000001",
            "99999999999999999999",
            "0000000000000000000a",
        ] {
            assert_eq!(parse_slot(name), None);
        }
    }

    fn entry(home: Option<TenantId>) -> BlockEntry {
        let order = Order {
            opened: 1,
            writer: WriterId(Ulid(3)),
            flush: 1,
        };

        let stats = BlockStats {
            series: 0,
            samples: 0,
            histograms: 0,
            exemplars: 0,
            families: 0,
            ttl_max_ms: 0,
            min_ts_ms: 0,
            max_ts_ms: 0,
            names: None,
            files: Vec::new(),
            meta_bytes: 0,
            meta_crc32c: 0,
        };

        BlockEntry {
            id: BlockId(Ulid(2)),
            order: OrderRange {
                min: order,
                max: order,
            },
            level: 0,
            resolution_ms: None,
            retention: String::new(),
            home,
            content: Content::default(),
            rolled: Vec::new(),
            stats,
        }
    }

    #[test]
    fn a_block_is_a_hive_partition() {
        let path = block_file(TenantId(Ulid(1)), &entry(None), "series.parquet");
        assert_eq!(
            path.as_ref(),
            "t/00000000000000000000000001/blocks/block=00000000000000000000000002/series.parquet"
        );
    }

    #[test]
    fn the_objects_of_a_block_are_at_its_home() {
        let home = TenantId(Ulid(9));
        let of_clone = block(TenantId(Ulid(1)), &entry(Some(home)));
        assert_eq!(of_clone, block(home, &entry(None)));
    }
}
