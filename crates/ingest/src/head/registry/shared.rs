//! The registry behind its lock, for many readers.
//!
//! Queries read it in steps. Each step holds the lock for some [`AT_ONCE`] look-ups, a fraction of
//! a millisecond. The lock is free while values are matched with patterns or labels are sorted, so
//! a write never waits for a whole query. A query can be cancelled between two steps. New series
//! may come between them as well; all series that were there before the first step are found.

use std::sync::Arc;

use duramen_model::{Labels, MatchOp, Matcher};
use duramen_runtime::Pace;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use roaring::RoaringBitmap;

use super::{OpenSegment, PairId, Registry, Slot};

/// A [`Registry`] behind a lock.
#[derive(Debug, Default)]
pub(crate) struct SharedRegistry {
    registry: RwLock<Registry>,
    /// Locked while new series are merged into the order. Others would only do the same work.
    pub(super) ordering: tokio::sync::Mutex<()>,
}

/// Look-ups in one step.
pub(super) const AT_ONCE: usize = 1024;

/// Label sets that are copied in one step.
const LABELS_AT_ONCE: usize = 256;

/// Which values of a label are searched: those that pass the matcher, or those that fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judged {
    Passing,
    Failing,
}

impl SharedRegistry {
    /// Creates an empty registry, see [`Registry::new`].
    pub(crate) fn new(open_segment: OpenSegment, seed: u64) -> Self {
        Self {
            registry: RwLock::new(Registry::new(open_segment, seed)),
            ordering: tokio::sync::Mutex::default(),
        }
    }

    /// Locks the registry for a few look-ups. Longer work has methods here that work in steps.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Registry> {
        self.registry.read()
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Registry> {
        self.registry.write()
    }

    /// Returns the series that pass all matchers. A regex is matched once per distinct value of its
    /// label, unless it is a list of values.
    pub(crate) async fn select(&self, matchers: &[Matcher]) -> RoaringBitmap {
        let mut pace = Pace::default();
        let (narrow, wide): (Vec<_>, Vec<_>) = matchers.iter().partition(|m| !m.matches_empty());
        let mut selected: Option<RoaringBitmap> = None;

        for matcher in narrow {
            if selected.as_ref().is_some_and(RoaringBitmap::is_empty) {
                break;
            }

            let passing = self.carriers(matcher, Judged::Passing, &mut pace).await;
            selected = Some(match selected {
                None => passing,
                Some(so_far) => so_far & passing,
            });
        }

        let mut selected = selected.unwrap_or_else(|| self.read().all());
        for matcher in wide {
            if selected.is_empty() {
                break;
            }

            selected -= self.carriers(matcher, Judged::Failing, &mut pace).await;
        }

        selected
    }

    /// Returns the series that have the label of `matcher` with a passing, or failing, value.
    async fn carriers(&self, matcher: &Matcher, judged: Judged, pace: &mut Pace) -> RoaringBitmap {
        let name = matcher.name.as_str();
        let mut found = RoaringBitmap::new();

        if let Some(values) = listed(matcher, judged) {
            self.read()
                .add_carriers(name, values.into_iter(), &mut found);
            return found;
        }

        let wanted = judged == Judged::Passing;
        let mut last = None;

        loop {
            let values = self.values_behind(name, last);
            let Some((behind, _)) = values.last() else {
                return found;
            };
            last = Some(*behind);

            let mut with = Vec::new();
            for (_, value) in values {
                if matcher.matches(&value) == wanted {
                    with.push(Arc::clone(&value));
                }

                pace.done(value.len().max(16)).await;
            }

            self.read()
                .add_carriers(name, with.iter().map(|value| &**value), &mut found);
        }
    }

    /// Returns the values of the next step of a walk over all values of a label.
    fn values_behind(&self, name: &str, last: Option<PairId>) -> Vec<(PairId, Arc<str>)> {
        let registry = self.read();
        registry
            .pairs_behind(name, last)
            .take(AT_ONCE)
            .map(|(pair, entry)| (pair, Arc::clone(&entry.value)))
            .collect()
    }

    /// Returns the labels of `slots`, in the same order.
    pub(crate) async fn labels_of(&self, slots: &[Slot]) -> Vec<Labels> {
        let mut pace = Pace::default();
        let mut labels = Vec::with_capacity(slots.len());

        for step in slots.chunks(LABELS_AT_ONCE) {
            {
                let registry = self.read();
                labels.extend(step.iter().map(|slot| registry.labels(*slot)));
            }

            pace.done(LABELS_AT_ONCE * 8).await;
        }

        labels
    }
}

/// Returns the passing, or failing, values if the matcher lists them.
fn listed(matcher: &Matcher, judged: Judged) -> Option<Vec<&str>> {
    match (&matcher.op, judged) {
        (MatchOp::Equal(value), Judged::Passing) | (MatchOp::NotEqual(value), Judged::Failing) => {
            Some(vec![value])
        }
        (MatchOp::Regex(pattern), Judged::Passing)
        | (MatchOp::NotRegex(pattern), Judged::Failing) => {
            Some(pattern.literals()?.iter().map(String::as_str).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use duramen_source::Reads;
    use futures::executor::block_on;
    use futures::future::poll_immediate;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).unwrap()
    }

    fn registry() -> SharedRegistry {
        let registry = SharedRegistry::default();
        for (name, job) in [("up", "node"), ("up", "db"), ("down", "node"), ("load", "")] {
            registry
                .write()
                .intern(&labels(&[("__name__", name), ("job", job)]));
        }

        registry
    }

    fn check(matchers: &[Matcher], expected: &[Slot]) {
        let selected = block_on(registry().select(matchers));
        assert_eq!(
            selected.iter().collect::<Vec<_>>(),
            expected,
            "{matchers:?}"
        );
    }

    #[test]
    fn matchers_equate_a_missing_label_with_an_empty_one() {
        check(&[], &[0, 1, 2, 3]);
        check(&[Matcher::equal("job", "node")], &[0, 2]);
        check(&[Matcher::equal("job", "")], &[3]);
        check(&[Matcher::not_equal("job", "")], &[0, 1, 2]);
        check(&[Matcher::not_equal("job", "node")], &[1, 3]);
        check(&[Matcher::equal("absent", "x")], &[]);
        check(&[Matcher::not_equal("absent", "x")], &[0, 1, 2, 3]);

        check(
            &[
                Matcher::equal("__name__", "up"),
                Matcher::not_equal("job", "db"),
            ],
            &[0],
        );

        check(&[Matcher::regex("job", "n.*|").unwrap()], &[0, 2, 3]);
        check(&[Matcher::regex("job", "d.+").unwrap()], &[1]);
        check(&[Matcher::regex("job", "db|x").unwrap()], &[1]);
        check(&[Matcher::regex("job", "db|").unwrap()], &[1, 3]);
        check(&[Matcher::not_regex("job", "d.+").unwrap()], &[0, 2, 3]);
        check(&[Matcher::not_regex("job", "db|x").unwrap()], &[0, 2, 3]);
        check(&[Matcher::not_regex("job", "db|").unwrap()], &[0, 2]);
        check(&[Matcher::not_regex("job", ".*").unwrap()], &[]);
    }

    /// Many series, with long values.
    fn many(count: usize) -> SharedRegistry {
        let registry = SharedRegistry::default();
        for at in 0..count {
            let value = format!("{at:0100}");
            registry
                .write()
                .intern(&labels(&[("__name__", "many"), ("value", &value)]));
        }

        registry
    }

    /// Runs `question` step by step. Returns its answer and how many times it waited. Asserts that
    /// a write gets the lock at each wait.
    fn steps_of<T>(registry: &SharedRegistry, question: impl Future<Output = T>) -> (T, usize) {
        let mut question = pin!(question);

        for waits in 0.. {
            if let Some(answer) = block_on(poll_immediate(&mut question)) {
                return (answer, waits);
            }

            assert!(
                registry.registry.try_write().is_some(),
                "it waits with the lock"
            );
        }

        unreachable!("a question has an end")
    }

    #[test]
    fn a_pattern_is_held_against_values_in_steps_between_which_writes_go_on() {
        let registry = many(3000);
        let pattern = [Matcher::regex("value", ".*7[0-9]{2}").unwrap()];
        let (selected, waits) = steps_of(&registry, registry.select(&pattern));

        assert_eq!(selected.len(), 300);
        assert!(waits >= 3000 * 100 / 4200, "{waits}");
    }

    #[test]
    fn series_that_come_while_values_are_matched_hide_none_that_were_there() {
        let registry = many(2000);
        let pattern = [
            Matcher::not_regex("value", ".*9").unwrap(),
            Matcher::regex("value", ".*").unwrap(),
        ];

        let mut selecting = pin!(registry.select(&pattern));
        let mut selected = None;

        for came in 0.. {
            selected = block_on(poll_immediate(&mut selecting));
            if selected.is_some() {
                break;
            }

            registry.write().intern(&labels(&[
                ("__name__", "new"),
                ("value", &format!("{came}")),
            ]));
        }

        let old = selected.unwrap().iter().filter(|slot| *slot < 2000).count();
        assert_eq!(old, 1800);
    }

    #[test]
    fn series_are_brought_into_order_in_steps_between_which_writes_go_on() {
        let registry = many(20_000);
        let everything = block_on(registry.select(&[]));
        let (ordered, waits) = steps_of(&registry, registry.in_block_order(&everything));

        assert_eq!(ordered.len(), 20_000);
        assert!(ordered.is_sorted(), "they came in order");
        assert!(waits > 20, "{waits}");

        let (again, waits) = steps_of(&registry, registry.in_block_order(&everything));
        assert_eq!(again, ordered);
        assert!(waits < 10, "the order is kept, and took {waits} steps");
    }

    #[test]
    fn names_values_and_labels_are_read_in_steps() {
        let registry = many(20_000);
        let everything = block_on(registry.select(&[]));
        let slots: Vec<Slot> = everything.iter().collect();
        let reads = Reads::default();
        let (names, _) = steps_of(&registry, registry.names_of(&everything, &reads));

        assert_eq!(names.unwrap().len(), 2);

        let (values, waits) = steps_of(&registry, registry.values_of(&everything, "value", &reads));
        assert_eq!(values.unwrap().len(), 20_000);
        assert!(waits >= 4, "{waits}");

        let (labels, waits) = steps_of(&registry, registry.labels_of(&slots));
        assert_eq!(labels.len(), 20_000);
        assert!(waits >= 4, "{waits}");
    }
}
