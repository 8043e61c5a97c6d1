//! Partial answers: which parts a request leaves out because they cannot be read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

/// The parts that one request leaves out, by name.
///
/// A part is left out as a whole. If a part fails after some of its series were read, what was
/// computed from them is of no use: the run is *torn*, and the request computes again without the
/// part. So a partial answer is exactly the answer over the other parts.
#[derive(Debug, Default)]
pub struct LeftOut(Mutex<Parts>);

#[derive(Debug, Default)]
struct Parts {
    /// Why each part is left out. It never gets smaller.
    left_out: BTreeMap<Arc<str>, String>,
    /// The parts that have given something in the present run.
    read: BTreeSet<Arc<str>>,
    /// Whether a part was left out after it had given something in the present run.
    is_torn: bool,
}

impl LeftOut {
    /// Begins a run. The parts that earlier runs left out stay left out.
    pub fn begin(&self) {
        let mut parts = self.0.lock();
        parts.read.clear();
        parts.is_torn = false;
    }

    /// Ends a run. Returns a warning for each part that is left out, in the order of their names.
    /// `None` if the run is torn: what it computed must be dropped.
    pub fn end(&self) -> Option<Vec<String>> {
        let parts = self.0.lock();
        let warning = |(part, why): (&Arc<str>, &String)| {
            format!("partial answer: {part} is left out: {why}")
        };

        (!parts.is_torn).then(|| parts.left_out.iter().map(warning).collect())
    }

    pub fn contains(&self, part: &str) -> bool {
        self.0.lock().left_out.contains_key(part)
    }

    /// Notes that a part is about to give something. Returns false if the part is left out: then it
    /// must give nothing.
    #[must_use]
    pub fn admit(&self, part: &Arc<str>) -> bool {
        let mut parts = self.0.lock();
        if parts.left_out.contains_key(part) {
            return false;
        }

        if !parts.read.contains(part) {
            parts.read.insert(Arc::clone(part));
        }

        true
    }

    /// Leaves a part out from now on. The first reason is kept.
    pub fn leave_out(&self, part: &Arc<str>, why: impl Into<String>) {
        let mut parts = self.0.lock();
        parts.is_torn |= parts.read.contains(part);
        parts
            .left_out
            .entry(Arc::clone(part))
            .or_insert_with(|| why.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_has_given_something_tears_the_run_when_it_is_left_out() {
        let left_out = LeftOut::default();
        let [a, b] = ["block a", "block b"].map(Arc::<str>::from);

        left_out.begin();
        left_out.leave_out(&b, "it is missing");
        assert!(!left_out.admit(&b) && left_out.admit(&a));

        let only_b = vec!["partial answer: block b is left out: it is missing".to_owned()];
        assert_eq!(left_out.end(), Some(only_b));

        left_out.leave_out(&a, "it is damaged");
        left_out.leave_out(&a, "another reason");
        assert_eq!(left_out.end(), None);

        left_out.begin();
        assert!(!left_out.admit(&a));

        let both = left_out.end().unwrap();
        assert_eq!(
            both,
            [
                "partial answer: block a is left out: it is damaged",
                "partial answer: block b is left out: it is missing"
            ]
        );
    }

    #[test]
    fn what_was_read_in_an_earlier_run_does_not_tear_a_later_one() {
        let left_out = LeftOut::default();
        let part = Arc::<str>::from("block a");

        left_out.begin();
        assert!(left_out.admit(&part));

        left_out.begin();
        left_out.leave_out(&part, "it is missing");
        assert_eq!(left_out.end().map(|warnings| warnings.len()), Some(1));
    }
}
