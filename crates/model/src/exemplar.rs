//! Exemplars: single observations that point elsewhere, such as at a trace.

use crate::Labels;

/// One exemplar of a series. Two are equal when all their bits are equal.
#[derive(Clone, Debug)]
pub struct Exemplar {
    pub ts_ms: i64,
    pub value: f64,
    /// The exemplar's own labels, such as a trace id; may be empty.
    pub labels: Labels,
}

impl PartialEq for Exemplar {
    fn eq(&self, other: &Self) -> bool {
        self.ts_ms == other.ts_ms
            && self.value.to_bits() == other.value.to_bits()
            && self.labels == other.labels
    }
}
impl Eq for Exemplar {}
