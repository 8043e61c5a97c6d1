//! Whether a query was cancelled.

use std::cmp::Ordering as Order;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;

/// Tells computations without await points that their query was cancelled. Cheap to clone. All
/// clones share one flag.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cancellation(Arc<AtomicBool>);

/// Cancels the query when it is dropped.
#[derive(Debug)]
pub(crate) struct CancelOnDrop(Cancellation);

impl Cancellation {
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns an error if the query was cancelled. Nobody sees that error.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.is_cancelled() {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }

    pub(crate) fn on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.clone())
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// How many items are sorted between two checks for cancellation.
const RUN: usize = 1 << 10;

/// Sorts by merging sorted runs, and checks for cancellation between them. The sort is stable.
pub(crate) fn sorted<T>(
    items: Vec<T>,
    cancellation: &Cancellation,
    compare: impl Fn(&T, &T) -> Order,
) -> Result<Vec<T>, Error> {
    let mut runs: Vec<Vec<T>> = Vec::new();
    let mut items = items.into_iter();

    loop {
        let mut run: Vec<T> = items.by_ref().take(RUN).collect();
        if run.is_empty() {
            break;
        }

        cancellation.check()?;
        run.sort_by(&compare);
        runs.push(run);
    }

    while runs.len() > 1 {
        let mut merged = Vec::with_capacity(runs.len().div_ceil(2));
        let mut rest = runs.into_iter();

        while let Some(left) = rest.next() {
            merged.push(match rest.next() {
                Some(right) => merge(left, right, cancellation, &compare)?,
                None => left,
            });
        }

        runs = merged;
    }

    Ok(runs.pop().unwrap_or_default())
}

fn merge<T>(
    left: Vec<T>,
    right: Vec<T>,
    cancellation: &Cancellation,
    compare: impl Fn(&T, &T) -> Order,
) -> Result<Vec<T>, Error> {
    let mut out = Vec::with_capacity(left.len() + right.len());
    let mut left = left.into_iter().peekable();
    let mut right = right.into_iter().peekable();

    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        if out.len() % RUN == 0 {
            cancellation.check()?;
        }

        out.extend(if compare(a, b).is_le() {
            left.next()
        } else {
            right.next()
        });
    }

    out.extend(left);
    out.extend(right);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_merged_and_equal_items_stay_in_order() {
        for len in [0, 1, RUN - 1, RUN, RUN + 1, 3 * RUN + 7] {
            let items: Vec<(usize, usize)> = (0..len).map(|at| (at * 7919 % 101, at)).collect();
            let mut wanted = items.clone();
            wanted.sort_by_key(|item| item.0);

            let got = sorted(items, &Cancellation::default(), |a, b| a.0.cmp(&b.0)).unwrap();
            assert!(got == wanted, "{len}");
        }
    }

    #[test]
    fn a_query_that_was_given_up_is_not_sorted() {
        let cancellation = Cancellation::default();
        drop(cancellation.on_drop());

        assert!(matches!(
            sorted(vec![2, 1], &cancellation, Ord::cmp),
            Err(Error::Cancelled)
        ));
    }
}
