//! What one part of a plan asks of a scan in another.

use std::sync::OnceLock;

use duramen_model::Matcher;

/// Matchers that become known while a plan runs, before the scan that they are for starts. The node
/// that finds them and the scan stand in one stage: they are shared in one run, by the number of
/// that node, and do not travel.
#[derive(Debug, Default)]
pub(crate) struct LateMatchers(OnceLock<Vec<Matcher>>);

impl LateMatchers {
    pub(crate) fn set(&self, matchers: Vec<Matcher>) {
        let first = self.0.set(matchers).is_ok();
        debug_assert!(first, "a context runs a plan once");
    }

    pub(crate) fn get(&self) -> &[Matcher] {
        self.0.get().map_or(&[], Vec::as_slice)
    }
}
