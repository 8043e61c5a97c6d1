//! From the extents that are wanted to the GETs that bring them. Pure.

use std::ops::Range;

use crate::read::cost::GetCost;

/// Returns runs of extents, one for each GET. `wanted` are extents in ascending order; `bytes`
/// gives the range of each extent of the file.
///
/// Extents are joined if the gap between them is at most `gap_bytes_max`; the gap is then a part of
/// the run. A run of more than `get_bytes_max` is cut into runs of about the same length.
pub(crate) fn plan(
    wanted: &[usize],
    bytes: impl Fn(usize) -> Range<u64>,
    cost: GetCost,
) -> Vec<Range<usize>> {
    let mut gets = Vec::new();

    for run in join(wanted, &bytes, cost.gap_bytes_max) {
        cut(run, &bytes, cost.get_bytes_max, &mut gets);
    }

    gets
}

fn join(
    wanted: &[usize],
    bytes: impl Fn(usize) -> Range<u64>,
    gap_bytes_max: u64,
) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();

    for &extent in wanted {
        match runs.last_mut() {
            Some(run) if bytes(extent).start - bytes(run.end - 1).end <= gap_bytes_max => {
                run.end = extent + 1;
            }
            _ => runs.push(extent..extent + 1),
        }
    }

    runs
}

/// Cuts `run` where parts of an equal length would end. An extent is never cut.
fn cut(
    run: Range<usize>,
    bytes: impl Fn(usize) -> Range<u64>,
    get_bytes_max: u64,
    gets: &mut Vec<Range<usize>>,
) {
    let start = bytes(run.start).start;
    let length = bytes(run.end - 1).end - start;
    let parts = length.div_ceil(get_bytes_max.max(1)).max(1);
    let part = length.div_ceil(parts);

    let mut first = run.start;
    let mut end = start + part;

    for extent in run.clone() {
        if bytes(extent).end > end && extent > first {
            gets.push(first..extent);
            first = extent;
            end = bytes(extent).start + part;
        }
    }

    gets.push(first..run.end);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plans over extents of 100 bytes each.
    fn check(wanted: &[usize], gap: u64, max: u64, expected: &[(usize, usize)]) {
        let bytes = |i: usize| (i as u64 * 100)..(i as u64 * 100 + 100);
        let cost = GetCost {
            gap_bytes_max: gap,
            get_bytes_max: max,
            ..GetCost::default()
        };

        let gets: Vec<_> = plan(wanted, bytes, cost)
            .into_iter()
            .map(|run| (run.start, run.end))
            .collect();

        assert_eq!(gets, expected, "{wanted:?}");
    }

    #[test]
    fn neighbours_and_small_gaps_are_one_get() {
        check(&[0, 1, 3, 7], 0, 10_000, &[(0, 2), (3, 4), (7, 8)]);
        check(&[0, 1, 3, 7], 99, 10_000, &[(0, 2), (3, 4), (7, 8)]);
        check(&[0, 1, 3, 7], 100, 10_000, &[(0, 4), (7, 8)]);
        check(&[0, 1, 3, 7], 300, 10_000, &[(0, 8)]);
        check(&[], 100, 10_000, &[]);
    }

    #[test]
    fn a_long_run_is_cut_into_parts_of_about_the_same_length() {
        let all: Vec<usize> = (0..10).collect();
        check(&all, 0, 1_000, &[(0, 10)]);
        check(&all, 0, 999, &[(0, 5), (5, 10)]);
        check(&all, 0, 400, &[(0, 3), (3, 6), (6, 9), (9, 10)]);
        check(&[0, 9], 800, 500, &[(0, 5), (5, 10)]);
    }

    #[test]
    fn an_extent_is_never_cut() {
        check(&[0, 1, 2], 0, 10, &[(0, 1), (1, 2), (2, 3)]);
        check(&[0, 1], 0, 0, &[(0, 1), (1, 2)]);
    }
}
