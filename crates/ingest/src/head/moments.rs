//! The moments of a generation: fixed views for queries while records are applied.
//!
//! Records are applied one after the other, and a moment lies between two of them. Moments are
//! numbered. A moment is *active* while a query reads at it.
//!
//! - Histograms and late floats are only ever added. Each remembers how many moments had begun
//!   before it came, and a moment sees those that came before it.
//! - The length of a byte string and the exemplars of a series change in place. Their value is
//!   saved at the first change after the newest active moment. If no moment is active, nothing is
//!   saved.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;

/// The number of a moment; the first is 1.
pub(crate) type MomentNumber = u32;

/// A number after all moments, which sees everything. No moment has it.
pub(crate) const NOW: MomentNumber = MomentNumber::MAX;

/// The moments of one generation.
#[derive(Debug, Default)]
pub(crate) struct Moments {
    state: Mutex<MomentsState>,
}

#[derive(Debug, Default)]
struct MomentsState {
    /// The newest moment that has begun.
    newest: MomentNumber,
    /// The active moments, each with its number of readers.
    active: BTreeMap<MomentNumber, usize>,
    /// Whether a record was applied since the newest moment began.
    is_past: bool,
    /// The moment before the record that is being applied in steps. A reader that comes between two
    /// steps gets this moment, and so sees nothing of the record.
    before_record: Option<MomentNumber>,
}

/// The moments that are active while a record is applied.
#[derive(Debug)]
pub(crate) struct ActiveMoments {
    /// The active moments, ascending.
    pub(crate) moments: Vec<MomentNumber>,
    /// The number of moments that have begun. New samples remember it.
    pub(crate) since: MomentNumber,
}

impl Moments {
    /// Begins a moment, or joins the newest one if nothing was applied since. Nothing may be
    /// applied during this call.
    pub(crate) fn begin(&self) -> MomentNumber {
        self.state.lock().begin()
    }

    /// Ends one reader's use of a moment.
    pub(crate) fn end(&self, moment: MomentNumber) {
        self.state.lock().end(moment);
    }

    /// Notes that a record is about to be applied as a whole.
    pub(crate) fn pass(&self) -> ActiveMoments {
        self.state.lock().pass()
    }

    /// Notes that a record is about to be applied in steps. Until [`Moments::end_record`], every
    /// moment that begins is the one before the record.
    pub(crate) fn begin_record(&self) -> ActiveMoments {
        let mut state = self.state.lock();
        let before = state.begin();
        state.before_record = Some(before);

        state.pass()
    }

    pub(crate) fn end_record(&self) {
        let mut state = self.state.lock();
        if let Some(before) = state.before_record.take() {
            state.end(before);
        }
    }
}

impl MomentsState {
    fn begin(&mut self) -> MomentNumber {
        let moment = match self.before_record {
            Some(moment) => moment,
            None => {
                if self.is_past || self.newest == 0 {
                    self.newest += 1;
                    self.is_past = false;
                }

                self.newest
            }
        };

        *self.active.entry(moment).or_default() += 1;
        moment
    }

    fn end(&mut self, moment: MomentNumber) {
        if let Some(readers) = self.active.get_mut(&moment) {
            *readers -= 1;
            if *readers == 0 {
                self.active.remove(&moment);
            }
        }
    }

    fn pass(&mut self) -> ActiveMoments {
        self.is_past = true;
        ActiveMoments {
            moments: self.active.keys().copied().collect(),
            since: self.newest,
        }
    }
}

/// A saved value. The moments up to `until` see it, unless an earlier entry of the list is for
/// them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Saved<T> {
    pub(crate) until: MomentNumber,
    pub(crate) value: T,
}

/// Saves a value before it changes, unless it was saved since the newest of `moments`. Entries that
/// no moment needs any more are dropped.
pub(crate) fn save<T>(
    list: &mut Vec<Saved<T>>,
    moments: &[MomentNumber],
    value: impl FnOnce() -> T,
) {
    let Some(&until) = moments.last() else { return };
    if list.last().is_some_and(|last| last.until >= until) {
        return;
    }

    list.push(Saved {
        until,
        value: value(),
    });
    retain_needed(list, moments);
}

/// Drops the entries that none of `moments` sees.
fn retain_needed<T>(list: &mut Vec<Saved<T>>, moments: &[MomentNumber]) {
    let mut behind = 0;
    list.retain(|saved| {
        let first = moments.partition_point(|moment| *moment <= behind);
        let is_needed = moments
            .get(first)
            .is_some_and(|moment| *moment <= saved.until);
        behind = saved.until;

        is_needed
    });
}

/// Returns the saved value that a moment sees; `None` if it sees the current value.
pub(crate) fn seen<T>(list: &[Saved<T>], moment: MomentNumber) -> Option<&T> {
    let at = list.partition_point(|saved| saved.until < moment);
    list.get(at).map(|saved| &saved.value)
}

/// A list of [`Saved`] for each series. It takes little memory, since most series are saved for at
/// most one moment.
#[derive(Debug)]
pub(crate) struct SavedBySeries<T> {
    /// By the index of the series; `until` is 0 if nothing is saved.
    newest: Vec<Saved<T>>,
    older: HashMap<usize, Vec<Saved<T>>>,
}

impl<T> Default for SavedBySeries<T> {
    fn default() -> Self {
        Self {
            newest: Vec::new(),
            older: HashMap::new(),
        }
    }
}

impl<T: Copy + Default> SavedBySeries<T> {
    /// Saves a value like [`save`], for the series at an index.
    #[inline]
    pub(crate) fn save(
        &mut self,
        series: usize,
        moments: &[MomentNumber],
        value: impl FnOnce() -> T,
    ) {
        let Some(&until) = moments.last() else { return };
        if self
            .newest
            .get(series)
            .is_some_and(|saved| saved.until >= until)
        {
            return;
        }
        self.replace(
            series,
            Saved {
                until,
                value: value(),
            },
            moments,
        );
    }

    fn replace(&mut self, series: usize, saved: Saved<T>, moments: &[MomentNumber]) {
        if series >= self.newest.len() {
            self.newest.resize(series + 1, Saved::default());
        }

        let before = std::mem::replace(&mut self.newest[series], saved);
        if before.until == 0 || moments.first().is_none_or(|oldest| *oldest > before.until) {
            self.older.remove(&series);
            return;
        }

        let older = self.older.entry(series).or_default();
        older.push(before);
        retain_needed(older, moments);

        if older.is_empty() {
            self.older.remove(&series);
        }
    }

    /// Finds a value like [`seen`], for the series at an index.
    pub(crate) fn seen(&self, series: usize, moment: MomentNumber) -> Option<&T> {
        let newest = self
            .newest
            .get(series)
            .filter(|saved| saved.until >= moment)?;

        let older = self
            .older
            .get(&series)
            .and_then(|older| seen(older, moment));

        Some(older.unwrap_or(&newest.value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_between_which_nothing_was_applied_are_one() {
        let moments = Moments::default();
        let first = moments.begin();

        assert_eq!(moments.begin(), first);

        let active = moments.pass();
        assert_eq!((active.moments, active.since), (vec![first], first));

        let second = moments.begin();
        assert!(second > first);

        moments.end(first);
        assert_eq!(moments.pass().moments, [first, second]);

        moments.end(first);
        moments.end(second);

        assert!(moments.pass().moments.is_empty());
    }

    #[test]
    fn a_moment_that_begins_between_the_steps_of_a_record_is_the_one_before_it() {
        let moments = Moments::default();
        let active = moments.begin_record();
        let between = moments.begin();

        assert_eq!(active.moments, [between]);
        assert_eq!(active.since, between, "the record is not seen by it");

        moments.end_record();
        assert!(moments.begin() > between);

        moments.end(between);
    }

    /// One event for values and moments.
    #[derive(Clone, Debug)]
    enum Step {
        Begin,
        /// The reader that began so many readers before the last one ends.
        End(usize),
        /// The series at this index gets another value.
        Change(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            2 => Just(Step::Begin),
            2 => (0..6usize).prop_map(Step::End),
            5 => (0..3usize).prop_map(Step::Change),
        ]
    }

    proptest! {
        #[test]
        fn each_moment_sees_what_was_then(steps in prop::collection::vec(step(), 0..60)) {
            let moments = Moments::default();
            let mut values = [0u32; 3];
            let mut by_series = SavedBySeries::default();
            let mut list = Vec::new();
            let mut looks: Vec<(MomentNumber, [u32; 3])> = Vec::new();
            let mut most = 0;

            for step in steps {
                most = most.max(looks.len());

                match step {
                    Step::Begin => looks.push((moments.begin(), values)),
                    Step::End(back) => {
                        if let Some(at) = looks.len().checked_sub(back + 1) {
                            moments.end(looks.remove(at).0);
                        }
                    }
                    Step::Change(series) => {
                        let active = moments.pass();
                        by_series.save(series, &active.moments, || values[series]);

                        if series == 0 {
                            save(&mut list, &active.moments, || values[0]);
                        }

                        values[series] += 1;

                        let older = by_series.older.get(&series).map_or(0, Vec::len);
                        prop_assert!(older < most.max(1), "as much is kept as moments needed at most");
                    }
                }

                for (moment, then) in &looks {
                    for series in 0..3 {
                        let found = by_series.seen(series, *moment).copied().unwrap_or(values[series]);
                        prop_assert_eq!(found, then[series]);
                    }

                    prop_assert_eq!(seen(&list, *moment).copied().unwrap_or(values[0]), then[0]);
                }
            }

            prop_assert!(by_series.seen(0, NOW).is_none());
        }
    }
}
