//! Tells from statistics which row groups of the series file may hold a series that passes. Pure.

use duramen_model::{MatchOp, Matcher};
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
    let within = |value: &str| min <= value.as_bytes() && value.as_bytes() <= max;

    match &matcher.op {
        MatchOp::Equal(value) => within(value),
        MatchOp::Regex(pattern) => match (pattern.literals(), pattern.literal_prefix()) {
            (Some(literals), _) => literals.iter().any(|value| within(value)),
            (None, Some(prefix)) => {
                let prefix = prefix.as_bytes();
                max >= prefix && (min <= prefix || min.starts_with(prefix))
            }
            (None, None) => true,
        },
        MatchOp::NotEqual(_) | MatchOp::NotRegex(_) => true,
    }
}
