//! What lies in the folder of a tenant, sorted by what it belongs to. Pure.

use std::collections::BTreeMap;

use duramen_bucket::keys;
use duramen_model::{BlockId, TenantId};
use object_store::ObjectMeta;
use object_store::path::Path;

/// The objects of a tenant, as a LIST has found them. What has a foreign name is left out, so
/// nobody touches it.
#[derive(Debug, Default)]
pub(crate) struct Litter {
    pub(crate) blocks: BTreeMap<BlockId, Vec<ObjectMeta>>,
    /// The slots of the manifest, with their times by the clock of the store.
    pub(crate) slots: BTreeMap<u64, i64>,
    /// The objects of snapshots, with the sequences of their states.
    pub(crate) snapshots: Vec<(u64, ObjectMeta)>,
    /// The claims of jobs.
    pub(crate) claims: Vec<ObjectMeta>,
}

impl Litter {
    pub(crate) fn sort(tenant: TenantId, objects: Vec<ObjectMeta>) -> Self {
        let blocks = keys::blocks(tenant);
        let manifest = keys::manifest(tenant);
        let snapshots = keys::manifest_snapshots(tenant);
        let jobs = keys::jobs(tenant);
        let mut litter = Self::default();

        for object in objects {
            let key = &object.location;

            if let Some(block) = block_of(key, &blocks) {
                litter.blocks.entry(block).or_default().push(object);
            } else if let Some(slot) = slot_of(key, &manifest) {
                let at_ms = object.last_modified.timestamp_millis();
                litter.slots.insert(slot, at_ms);
            } else if let Some(sequence) = snapshot_of(key, &snapshots) {
                litter.snapshots.push((sequence, object));
            } else if key.prefix_matches(&jobs) {
                litter.claims.push(object);
            }
        }

        litter
    }

    /// The last slot that was written at least `age_ms` before `now_ms`. Slots are written in order,
    /// so all before it are as old. If all that are listed are younger, it is the one before them.
    pub(crate) fn settled(&self, now_ms: i64, age_ms: i64) -> u64 {
        let is_old = |at_ms: i64| now_ms.saturating_sub(at_ms) >= age_ms;
        let young = self.slots.iter().find(|(_, at_ms)| !is_old(**at_ms));

        let last = self.slots.keys().next_back().copied().unwrap_or(0);
        young.map_or(last, |(slot, _)| slot.saturating_sub(1))
    }
}

/// The block of a key like `t/<tenant>/blocks/block=<block>/meta`.
fn block_of(key: &Path, blocks: &Path) -> Option<BlockId> {
    let mut parts = key.prefix_match(blocks)?;
    let folder = parts.next()?;
    let id = folder.as_ref().strip_prefix("block=")?.parse().ok();

    // The file itself.
    parts.next()?;
    id
}

/// The sequence of a key like `t/<tenant>/manifest-snapshots/<sequence>-<attempt>`.
fn snapshot_of(key: &Path, snapshots: &Path) -> Option<u64> {
    let mut parts = key.prefix_match(snapshots)?;
    let name = parts.next()?;
    let (sequence, _) = name.as_ref().split_once('-')?;
    keys::parse_slot(sequence)
}

fn slot_of(key: &Path, manifest: &Path) -> Option<u64> {
    let mut parts = key.prefix_match(manifest)?;
    keys::parse_slot(parts.next()?.as_ref())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use ulid::Ulid;

    use super::*;

    const TENANT: TenantId = TenantId(Ulid(1));

    fn object(key: &str, at_ms: i64) -> ObjectMeta {
        ObjectMeta {
            location: keys::tenant(TENANT)
                .join("x")
                .as_ref()
                .replace("/x", key)
                .into(),
            last_modified: DateTime::from_timestamp_millis(at_ms).unwrap(),
            size: 1,
            e_tag: None,
            version: None,
        }
    }

    #[test]
    fn foreign_objects_are_in_no_pile() {
        let id = "00000000000000000000000007";
        let objects = [
            "/blocks/block=7/meta".to_owned(),
            "/blocks/notes.txt".to_owned(),
            "/manifest/latest".to_owned(),
            "/manifest-boundary".to_owned(),
            "/ha/00000000000000000001".to_owned(),
            format!("/blocks/block={id}/meta"),
            format!("/blocks/block={id}/samples.parquet"),
            format!("/blocks/block={id}"),
        ];

        let objects = objects.iter().map(|key| object(key, 0)).collect();
        let litter = Litter::sort(TENANT, objects);
        assert_eq!(litter.blocks.len(), 1);
        assert_eq!(litter.blocks[&BlockId(Ulid(7))].len(), 2);
        assert!(litter.slots.is_empty() && litter.claims.is_empty());
    }

    #[test]
    fn a_slot_is_settled_when_all_before_it_are_old() {
        let slot = |slot, at_ms| object(&format!("/manifest/{}", keys::slot(slot)), at_ms);
        let litter = Litter::sort(TENANT, vec![slot(4, 10), slot(5, 20), slot(6, 30)]);

        assert_eq!(litter.settled(100, 70), 6);
        assert_eq!(litter.settled(99, 70), 5);
        assert_eq!(litter.settled(80, 70), 4);
        assert_eq!(litter.settled(79, 70), 3);
        assert_eq!(Litter::default().settled(100, 0), 0);
    }
}
