//! The metadata of a tenant's metric families, as its senders report it.
//!
//! It outlives generations. A flush that writes metadata writes all of it, so the newest block of a
//! writer with metadata has all of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_model::{FamilyMetadata, MetricType};

/// The metadata of a tenant's metric families, by name.
#[derive(Debug, Default)]
pub(crate) struct Families {
    by_name: BTreeMap<String, FamilyEntry>,
    bytes: usize,
}

#[derive(Debug)]
struct FamilyEntry {
    family: Arc<FamilyMetadata>,
    /// The flush number of the generation in which it was logged last; 0 if it came from a block.
    logged_in: u64,
}

impl Families {
    /// Returns whether the log of `generation` has the same metadata already, so that it need not
    /// be logged.
    pub(crate) fn is_logged(
        &self,
        name: &str,
        kind: MetricType,
        help: &str,
        unit: &str,
        generation: u64,
    ) -> bool {
        self.by_name
            .get(name)
            .is_some_and(|FamilyEntry { family, logged_in }| {
                *logged_in == generation
                    && family.kind == kind
                    && family.help == help
                    && family.unit == unit
            })
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Returns the memory of the families in bytes, roughly.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how much more memory this metadata of a family would take, in bytes.
    pub(crate) fn growth(&self, name: &str, help: &str, unit: &str) -> usize {
        let texts = help.len() + unit.len();
        match self.by_name.get(name) {
            Some(FamilyEntry { family, .. }) => {
                texts.saturating_sub(family.help.len() + family.unit.len())
            }
            None => FAMILY + 2 * name.len() + texts,
        }
    }

    /// Stores metadata that was logged in `generation`. It replaces earlier metadata of the family.
    pub(crate) fn put(&mut self, family: FamilyMetadata, generation: u64) {
        self.bytes += memory_of(&family);

        let replaced = self.by_name.insert(
            family.family.clone(),
            FamilyEntry {
                family: Arc::new(family),
                logged_in: generation,
            },
        );

        if let Some(replaced) = replaced {
            self.bytes -= memory_of(&replaced.family);
        }
    }

    /// Takes over metadata that an earlier process wrote into a block. Metadata that was sent since
    /// stays.
    pub(crate) fn carry_over(&mut self, families: Vec<FamilyMetadata>) {
        for family in families {
            if !self.by_name.contains_key(&family.family) {
                self.put(family, 0);
            }
        }
    }

    /// Forgets families whose metadata was not sent since `idle_before_ms`, those that are silent
    /// longest first, while there are more than nine tenths of `max`. Older blocks still have them,
    /// the newest no longer.
    pub(crate) fn forget(&mut self, max: usize, idle_before_ms: i64) {
        let surplus = self.by_name.len().saturating_sub(max / 10 * 9);
        if surplus == 0 {
            return;
        }

        let idle = self
            .by_name
            .values()
            .filter(|entry| entry.family.last_seen_ms < idle_before_ms);

        let mut idle: Vec<_> = idle
            .map(|entry| (entry.family.last_seen_ms, Arc::clone(&entry.family)))
            .collect();
        idle.sort_unstable_by_key(|(last_seen_ms, _)| *last_seen_ms);

        for (_, family) in idle.into_iter().take(surplus) {
            self.by_name.remove(&family.family);
            self.bytes -= memory_of(&family);
        }
    }

    /// Returns all families in the order of their names. Their texts are not copied, since writes
    /// wait for this.
    pub(crate) fn all(&self) -> Vec<Arc<FamilyMetadata>> {
        self.by_name
            .values()
            .map(|entry| Arc::clone(&entry.family))
            .collect()
    }
}

/// The memory of a family without its texts: its entry in the tree, with nodes two thirds full, and
/// four allocations.
const FAMILY: usize = 320;

/// Returns the memory of a family in bytes. Its name is stored twice.
const fn memory_of(family: &FamilyMetadata) -> usize {
    FAMILY + 2 * family.family.len() + family.help.len() + family.unit.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(name: &str, help: &str) -> FamilyMetadata {
        let family = name.to_owned();
        let help = help.to_owned();

        FamilyMetadata {
            family,
            kind: MetricType::Gauge,
            help,
            unit: String::new(),
            last_seen_ms: 1,
        }
    }

    #[test]
    fn what_is_new_changed_or_of_another_generation_is_to_be_logged() {
        let mut families = Families::default();
        let is_logged = |families: &Families, help, generation| {
            families.is_logged("up", MetricType::Gauge, help, "", generation)
        };

        assert!(!is_logged(&families, "a", 7));

        families.put(family("up", "a"), 7);
        assert!(is_logged(&families, "a", 7));
        assert!(!is_logged(&families, "b", 7));
        assert!(!is_logged(&families, "a", 8));
        assert!(!families.is_logged("up", MetricType::Counter, "a", "", 7));
        assert!(!families.is_logged("up", MetricType::Gauge, "a", "bytes", 7));
    }

    #[test]
    fn a_block_tells_what_is_not_known_and_no_more() {
        let mut families = Families::default();
        families.put(family("up", "new"), 7);
        families.carry_over(vec![family("down", "old"), family("up", "old")]);

        assert_eq!(
            families.all(),
            [family("down", "old"), family("up", "new")].map(Arc::new)
        );

        assert!(!families.is_logged("down", MetricType::Gauge, "old", "", 7));
    }
}
