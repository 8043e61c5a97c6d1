//! What a tenant's senders say of their metric families.
//!
//! It outlives generations: each flush writes all of it, so that the newest block of a writer that
//! has any has all.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_model::{FamilyMetadata, MetricType};

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Families {
    held: BTreeMap<String, HeldFamily>,
    bytes: usize,
}

#[derive(Debug)]
struct HeldFamily {
    family: Arc<FamilyMetadata>,
    /// The flush number of the generation in which it was logged last; 0 when a block told of it.
    logged_in: u64,
}

impl Families {
    /// Whether the same was said before, and the log of `generation` has it: then nothing needs to
    /// be logged.
    pub(crate) fn is_logged(
        &self,
        name: &str,
        kind: MetricType,
        help: &str,
        unit: &str,
        generation: u64,
    ) -> bool {
        self.held
            .get(name)
            .is_some_and(|HeldFamily { family, logged_in }| {
                *logged_in == generation
                    && family.kind == kind
                    && family.help == help
                    && family.unit == unit
            })
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.held.contains_key(name)
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// The memory that they take, in bytes, roughly.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How much more memory it takes when this is said of a family.
    pub(crate) fn growth(&self, name: &str, help: &str, unit: &str) -> usize {
        let texts = help.len() + unit.len();
        match self.held.get(name) {
            Some(HeldFamily { family, .. }) => {
                texts.saturating_sub(family.help.len() + family.unit.len())
            }
            None => FAMILY + 2 * name.len() + texts,
        }
    }

    /// Notes what was logged in `generation`: it replaces what was said before.
    pub(crate) fn put(&mut self, family: FamilyMetadata, generation: u64) {
        self.bytes += memory_of(&family);

        let replaced = self.held.insert(
            family.family.clone(),
            HeldFamily {
                family: Arc::new(family),
                logged_in: generation,
            },
        );

        if let Some(replaced) = replaced {
            self.bytes -= memory_of(&replaced.family);
        }
    }

    /// Takes over what an earlier process wrote into a block. What was said since stays.
    pub(crate) fn carry_over(&mut self, families: Vec<FamilyMetadata>) {
        for family in families {
            if !self.held.contains_key(&family.family) {
                self.put(family, 0);
            }
        }
    }

    /// Gives up families that nobody told of since `idle_before_ms`, those that are silent for
    /// longest first, while there are more than nine tenths of `max`. What is given up is in older
    /// blocks still, but no longer in the newest.
    pub(crate) fn forget(&mut self, max: usize, idle_before_ms: i64) {
        let surplus = self.held.len().saturating_sub(max / 10 * 9);
        if surplus == 0 {
            return;
        }

        let idle = self
            .held
            .values()
            .filter(|held| held.family.last_seen_ms < idle_before_ms);

        let mut idle: Vec<_> = idle
            .map(|held| (held.family.last_seen_ms, Arc::clone(&held.family)))
            .collect();
        idle.sort_unstable_by_key(|(last_seen_ms, _)| *last_seen_ms);

        for (_, family) in idle.into_iter().take(surplus) {
            self.held.remove(&family.family);
            self.bytes -= memory_of(&family);
        }
    }

    /// All families, in the order of their names. Their texts are not copied, as writes wait
    /// meanwhile.
    pub(crate) fn all(&self) -> Vec<Arc<FamilyMetadata>> {
        self.held
            .values()
            .map(|held| Arc::clone(&held.family))
            .collect()
    }
}

/// A family beside its texts: a place in the tree, with its nodes two thirds full, and four
/// allocations.
const FAMILY: usize = 320;

/// The name stands there twice.
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
