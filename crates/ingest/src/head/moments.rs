//! The moments of a generation that queries look at, and what is kept so that they can.
//!
//! Records are applied one after the other, and a moment lies between two of them. Moments are
//! numbered. What is only ever added (histograms, late floats) says how many moments had begun
//! before it came: a moment sees what came before it. What changes in place (the length of a byte
//! string, the exemplars of a series) is saved when it is touched for the first time since the
//! newest moment that someone looks at. While nobody looks, nothing is saved.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;

/// The number of a moment; the first is 1.
pub(crate) type MomentNumber = u32;

/// Sees everything. No moment has this number.
pub(crate) const NOW: MomentNumber = MomentNumber::MAX;

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Moments {
    state: Mutex<MomentsState>,
}

#[derive(Debug, Default)]
struct MomentsState {
    /// The newest that ever began.
    newest: MomentNumber,
    /// Those that are looked at, with the number of those who look.
    looked_at: BTreeMap<MomentNumber, usize>,
    /// Whether anything was applied since the newest began.
    is_past: bool,
    /// The one before a record that is being applied in steps: who comes between two of them sees
    /// nothing of it.
    before_record: Option<MomentNumber>,
}

/// What whoever applies a record needs to know of moments.
#[derive(Debug)]
pub(crate) struct Lookers {
    /// Those that are looked at, ascending.
    pub(crate) moments: Vec<MomentNumber>,
    /// How many moments have begun: what comes now says so.
    pub(crate) since: MomentNumber,
}

impl Moments {
    /// Begins a moment, or joins the newest if nothing was applied since. Nothing may be applied
    /// meanwhile.
    pub(crate) fn begin(&self) -> MomentNumber {
        self.state.lock().begin()
    }

    /// Ends a look at a moment.
    pub(crate) fn end(&self, moment: MomentNumber) {
        self.state.lock().end(moment);
    }

    /// A record is about to be applied, as a whole.
    pub(crate) fn pass(&self) -> Lookers {
        self.state.lock().pass()
    }

    /// A record is about to be applied in steps, between which others may begin a moment: it is the
    /// one before the record, until [`Moments::end_record`].
    pub(crate) fn begin_record(&self) -> Lookers {
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

        *self.looked_at.entry(moment).or_default() += 1;
        moment
    }

    fn end(&mut self, moment: MomentNumber) {
        if let Some(lookers) = self.looked_at.get_mut(&moment) {
            *lookers -= 1;
            if *lookers == 0 {
                self.looked_at.remove(&moment);
            }
        }
    }

    fn pass(&mut self) -> Lookers {
        self.is_past = true;
        Lookers {
            moments: self.looked_at.keys().copied().collect(),
            since: self.newest,
        }
    }
}

/// What something was for the moments up to `until`, from behind the one before it in its list.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Saved<T> {
    pub(crate) until: MomentNumber,
    pub(crate) was: T,
}

/// Saves what something is before it is changed, unless that was done since the newest of
/// `moments`. What no moment needs any more is given up.
pub(crate) fn save<T>(held: &mut Vec<Saved<T>>, moments: &[MomentNumber], is: impl FnOnce() -> T) {
    let Some(&until) = moments.last() else { return };
    if held.last().is_some_and(|last| last.until >= until) {
        return;
    }

    held.push(Saved { until, was: is() });
    retain_needed(held, moments);
}

/// Gives up what none of `moments` sees.
fn retain_needed<T>(held: &mut Vec<Saved<T>>, moments: &[MomentNumber]) {
    let mut behind = 0;
    held.retain(|saved| {
        let first = moments.partition_point(|moment| *moment <= behind);
        let is_needed = moments
            .get(first)
            .is_some_and(|moment| *moment <= saved.until);
        behind = saved.until;

        is_needed
    });
}

/// What a moment sees of something; `None` when it sees what there is now.
pub(crate) fn seen<T>(held: &[Saved<T>], moment: MomentNumber) -> Option<&T> {
    let at = held.partition_point(|saved| saved.until < moment);
    held.get(at).map(|saved| &saved.was)
}

/// As a list of [`Saved`] for each series, in little memory: most series are saved for one moment
/// at most.
#[derive(Debug)]
pub(crate) struct SavedBySeries<T> {
    /// By the index of the series; `until` is 0 where nothing is saved.
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
    /// As [`save`], for the series of an index.
    #[inline]
    pub(crate) fn save(&mut self, series: usize, moments: &[MomentNumber], is: impl FnOnce() -> T) {
        let Some(&until) = moments.last() else { return };
        if self
            .newest
            .get(series)
            .is_some_and(|saved| saved.until >= until)
        {
            return;
        }
        self.replace(series, Saved { until, was: is() }, moments);
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

    /// As [`seen`], for the series of an index.
    pub(crate) fn seen(&self, series: usize, moment: MomentNumber) -> Option<&T> {
        let newest = self
            .newest
            .get(series)
            .filter(|saved| saved.until >= moment)?;

        let older = self
            .older
            .get(&series)
            .and_then(|older| seen(older, moment));

        Some(older.unwrap_or(&newest.was))
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

        let lookers = moments.pass();
        assert_eq!((lookers.moments, lookers.since), (vec![first], first));

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
        let lookers = moments.begin_record();
        let between = moments.begin();

        assert_eq!(lookers.moments, [between]);
        assert_eq!(lookers.since, between, "the record is not seen by it");

        moments.end_record();
        assert!(moments.begin() > between);

        moments.end(between);
    }

    /// What happens to a value that moments look at.
    #[derive(Clone, Debug)]
    enum Step {
        Begin,
        /// The look that began so many before the last ends.
        End(usize),
        /// Series of this index gets another value, as the newest changes.
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
                        let lookers = moments.pass();
                        by_series.save(series, &lookers.moments, || values[series]);

                        if series == 0 {
                            save(&mut list, &lookers.moments, || values[0]);
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
