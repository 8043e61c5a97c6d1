//! Where things are in the bucket. `docs/formats/bucket.md` has the same as a picture.

use duramen_model::{BlockId, TenantId};
use object_store::path::Path;

/// The identity of the deployment that owns the store.
pub const DEPLOYMENT: &str = "duramen.json";

/// What the start-up probe writes and removes again.
pub const PROBE: &str = "probe";

/// The register of tenants, one object a slot.
pub const TENANTS: &str = "tenants";

/// Who writes to the store, one object a process.
pub const CLAIMS: &str = "claims";

/// A slot number as it stands in a key: 20 digits, so that keys sort as numbers do and every `u64`
/// fits.
pub fn slot(number: u64) -> String {
    format!("{number:020}")
}

/// The slot number that ends a key; `None` for a key that no chain has made.
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

/// The state after `sequence` edits, written by one `attempt`: a second attempt at the same
/// sequence has its own key.
pub fn manifest_snapshot(tenant: TenantId, sequence: u64, attempt: ulid::Ulid) -> Path {
    self::tenant(tenant)
        .join("manifest-snapshots")
        .join(format!("{}-{attempt}", slot(sequence)))
}

/// A further part of a snapshot that has no room in one object.
pub fn manifest_snapshot_part(
    tenant: TenantId,
    sequence: u64,
    attempt: ulid::Ulid,
    part: usize,
) -> Path {
    self::tenant(tenant)
        .join("manifest-snapshots")
        .join(format!("{}-{attempt}-{part}", slot(sequence)))
}

/// A hint to where the newest edits are.
pub fn manifest_boundary(tenant: TenantId) -> Path {
    self::tenant(tenant).join("manifest-boundary")
}

/// The prefix of a tenant's chain of elections.
pub fn ha(tenant: TenantId) -> Path {
    self::tenant(tenant).join("ha")
}

/// The prefix of all blocks of a tenant.
pub fn blocks(tenant: TenantId) -> Path {
    self::tenant(tenant).join("blocks")
}

/// The prefix of one block. `block=` makes it a partition to SQL engines.
pub fn block(tenant: TenantId, block: BlockId) -> Path {
    blocks(tenant).join(format!("block={block}"))
}

/// One file of a block.
pub fn block_file(tenant: TenantId, block: BlockId, file: &str) -> Path {
    self::block(tenant, block).join(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulid::Ulid;

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

    #[test]
    fn a_block_is_a_hive_partition() {
        let path = block_file(TenantId(Ulid(1)), BlockId(Ulid(2)), "series.parquet");
        assert_eq!(
            path.as_ref(),
            "t/00000000000000000000000001/blocks/block=00000000000000000000000002/series.parquet"
        );
    }
}
