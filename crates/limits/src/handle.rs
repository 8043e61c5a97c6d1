//! The limits in force.

use std::collections::HashMap;
use std::sync::Arc;

use duramen_model::TenantName;
use parking_lot::RwLock;

use crate::Limits;

/// The limits of all tenants. Cheap to clone; all clones see a replacement at once.
#[derive(Clone, Debug, Default)]
pub struct LimitsHandle {
    held: Arc<RwLock<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    defaults: Arc<Limits>,
    tenants: HashMap<TenantName, Arc<Limits>>,
}

impl LimitsHandle {
    /// `tenants` holds whole limits: what a tenant does not set is filled in from the defaults before.
    pub fn new(defaults: Limits, tenants: HashMap<TenantName, Limits>) -> Self {
        let handle = Self::default();
        handle.replace(defaults, tenants);
        handle
    }

    /// What applies to a tenant now. Ask once for each request, so that one request sees one set of limits.
    pub fn of(&self, tenant: &TenantName) -> Arc<Limits> {
        let held = self.held.read();
        Arc::clone(held.tenants.get(tenant).unwrap_or(&held.defaults))
    }

    /// Puts others in force, for every request that asks from now on.
    pub fn replace(&self, defaults: Limits, tenants: HashMap<TenantName, Limits>) {
        let tenants = tenants.into_iter().map(|(name, limits)| (name, Arc::new(limits))).collect();
        *self.held.write() = Held { defaults: Arc::new(defaults), tenants };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_is_seen_by_every_clone_and_a_request_keeps_what_it_asked_for() {
        let tenant = TenantName::parse("a").unwrap();
        let handle = LimitsHandle::default();
        let (clone, before) = (handle.clone(), handle.of(&tenant));
        let mut own = Limits::default();
        own.ingest.series_max = 7;
        handle.replace(Limits::default(), HashMap::from([(tenant.clone(), own)]));
        assert_eq!(clone.of(&tenant).ingest.series_max, 7);
        assert_eq!(clone.of(&TenantName::parse("b").unwrap()).ingest.series_max, 5_000_000);
        assert_eq!(before.ingest.series_max, 5_000_000);
    }
}
