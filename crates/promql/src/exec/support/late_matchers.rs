//! Matchers that one part of a plan finds for a scan in another.

use std::collections::BTreeSet;
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

/// Returns a matcher for series whose label has one of these values. "" stands for an absent label.
/// `None` if the regex cannot be compiled.
pub(crate) fn one_of(name: &str, values: &BTreeSet<&str>) -> Option<Matcher> {
    let patterns: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    Matcher::regex(name, &patterns.join("|")).ok()
}

/// Returns the regex that matches exactly `text`.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }

        out.push(c);
    }

    out
}
