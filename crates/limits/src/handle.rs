//! The limits in force.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use duramen_model::TenantName;
use parking_lot::RwLock;
use serde::Serialize;

use crate::limits::tree;
use crate::{Limits, LimitsFile};

/// The limits of all tenants. A clone is cheap, and all clones see a replacement at once.
#[derive(Clone, Debug, Default)]
pub struct LimitsHandle {
    in_force: Arc<RwLock<InForce>>,
}

#[derive(Debug, Default)]
struct InForce {
    defaults: Arc<Limits>,
    tenants: HashMap<TenantName, Arc<Limits>>,
}

impl LimitsHandle {
    /// `tenants` must have complete limits: their missing values are already filled in from the
    /// defaults.
    pub fn new(defaults: Limits, tenants: HashMap<TenantName, Limits>) -> Self {
        let handle = Self::default();
        handle.replace(defaults, tenants);
        handle
    }

    /// The limits of a tenant now. Ask once for each request, so that a request sees only one set
    /// of limits.
    pub fn of(&self, tenant: &TenantName) -> Arc<Limits> {
        let in_force = self.in_force.read();
        Arc::clone(in_force.tenants.get(tenant).unwrap_or(&in_force.defaults))
    }

    /// Replaces all limits, for every request that asks from now on.
    pub fn replace(&self, defaults: Limits, tenants: HashMap<TenantName, Limits>) {
        let tenants = tenants
            .into_iter()
            .map(|(name, limits)| (name, Arc::new(limits)))
            .collect();

        *self.in_force.write() = InForce {
            defaults: Arc::new(defaults),
            tenants,
        };
    }
}

/// The limits of a tenant, and where they come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effective {
    pub limits: Arc<Limits>,
    /// By key, the origin of each value that is not built in.
    pub overridden: BTreeMap<String, Origin>,
}

/// The part of the limits file that set a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    Defaults,
    Tenant,
}

impl LimitsHandle {
    /// The limits of a tenant now. `built_in` are the limits without a file.
    pub fn effective(&self, tenant: &TenantName, built_in: &Limits) -> Effective {
        let (limits, defaults) = {
            let in_force = self.in_force.read();
            let limits = in_force.tenants.get(tenant).unwrap_or(&in_force.defaults);
            (Arc::clone(limits), Arc::clone(&in_force.defaults))
        };

        let built_in = tree(built_in);
        let defaults = tree(&defaults);
        let own = tree(&limits);
        let mut overridden = BTreeMap::new();

        let values = |tree| {
            duramen_settings::leaves(tree)
                .into_iter()
                .collect::<BTreeMap<_, _>>()
        };

        let built_in = values(&built_in);
        let defaults = values(&defaults);

        for (key, value) in duramen_settings::leaves(&own) {
            let origin = if defaults.get(&key) != Some(&value) {
                Origin::Tenant
            } else {
                Origin::Defaults
            };

            if origin == Origin::Tenant || built_in.get(&key) != Some(&value) {
                overridden.insert(key, origin);
            }
        }

        Effective { limits, overridden }
    }

    /// Puts the limits of a file in force.
    pub fn adopt(&self, file: LimitsFile) {
        self.replace(file.defaults, file.tenants);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_is_seen_by_every_clone_and_a_request_keeps_what_it_asked_for() {
        let tenant = TenantName::parse("a").unwrap();
        let handle = LimitsHandle::default();
        let clone = handle.clone();
        let before = handle.of(&tenant);
        let mut own = Limits::default();

        own.ingest.series_max = 7;
        handle.replace(Limits::default(), HashMap::from([(tenant.clone(), own)]));

        assert_eq!(clone.of(&tenant).ingest.series_max, 7);
        assert_eq!(
            clone.of(&TenantName::parse("b").unwrap()).ingest.series_max,
            5_000_000
        );

        assert_eq!(before.ingest.series_max, 5_000_000);
    }

    #[test]
    fn what_applies_says_which_part_of_the_file_set_it() {
        let yaml = "defaults: {query: {steps_max: 5}, ingest: {series_max: 9}}\ntenants: {a: {ingest: {series_max: 7}}}\n";
        let handle = LimitsHandle::default();
        let built_in = Limits::default();

        handle.adopt(LimitsFile::parse(yaml, &built_in).unwrap());

        let origins = |name: &str| {
            let effective = handle.effective(&TenantName::parse(name).unwrap(), &built_in);
            (
                effective.limits.ingest.series_max,
                effective.overridden.into_iter().collect::<Vec<_>>(),
            )
        };

        let steps = ("query.steps_max".to_owned(), Origin::Defaults);
        let series = |origin| ("ingest.series_max".to_owned(), origin);

        assert_eq!(
            origins("a"),
            (7, vec![series(Origin::Tenant), steps.clone()])
        );

        assert_eq!(origins("b"), (9, vec![series(Origin::Defaults), steps]));
    }
}
