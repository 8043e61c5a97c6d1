//! Tells from statistics which row groups of the series file may hold a series that passes. Pure.

use duramen_model::Matcher;
use parquet::file::metadata::RowGroupMetaData;

/// Whether a value of column `index` in `group` may pass. The smallest and largest value may be
/// cut short in the statistics, but they still bound all values.
pub(crate) fn may_match(matcher: &Matcher, group: &RowGroupMetaData, index: usize) -> bool {
    let Some(statistics) = group
        .columns()
        .get(index)
        .and_then(|column| column.statistics())
    else {
        return true;
    };
    if matcher.matches_empty() {
        return true;
    }

    let (Some(min), Some(max)) = (statistics.min_bytes_opt(), statistics.max_bytes_opt()) else {
        return statistics.null_count_opt() != Some(group.num_rows().cast_unsigned());
    };

    matcher.may_match_within(min, max)
}
