//! Matchers that one part of a plan finds for a scan in another.

use std::sync::OnceLock;

use duramen_model::Matcher;

/// Matchers that become known while a plan runs, before their scan starts. The node that finds them
/// and the scan are in the same stage. They share the matchers in one run by the number of that
/// node, and the matchers are not sent elsewhere.
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
