//! What one part of a plan asks of a scan in another.

use std::sync::{Arc, OnceLock};

use duramen_model::Matcher;

/// Matchers that become known while the query runs, before the scan starts. Cheap to clone; all
/// clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct LateMatchers(Arc<OnceLock<Vec<Matcher>>>);

impl LateMatchers {
    pub(crate) fn set(&self, matchers: Vec<Matcher>) {
        let first = self.0.set(matchers).is_ok();
        debug_assert!(first, "a plan runs once");
    }

    pub(crate) fn get(&self) -> &[Matcher] {
        self.0.get().map_or(&[], Vec::as_slice)
    }
}
