//! From series to row ranges to the bytes of the pages that hold them. Pure.

use std::ops::Range;

use parquet::file::metadata::ParquetMetaData;

use crate::layout::schema::sample;

/// The columns that every reader of samples needs. `sref` is not among them: the number of a row
/// already tells which series it belongs to.
const READ: [usize; 4] = [
    sample::TS,
    sample::VALUE_INT,
    sample::EXPONENT,
    sample::VALUE,
];

/// Whether any row of `group` has a value in `column`, a column of life spans. The writer adds
/// statistics to the column only in this case.
pub(crate) fn has_values(file: &ParquetMetaData, group: usize, column: usize) -> bool {
    file.row_group(group)
        .columns()
        .get(column)
        .is_some_and(|chunk| chunk.statistics().is_some())
}

/// Rows of one row group: ascending ranges that do not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupRows {
    pub(crate) group: usize,
    pub(crate) rows: Vec<Range<usize>>,
}

/// Splits ascending row ranges of the file at the row groups. `group_rows` has the first row of
/// each group, followed by the number of rows in the file.
///
/// Returns `None` if a range exceeds the file.
pub(crate) fn by_group(
    ranges: impl Iterator<Item = Range<u64>>,
    group_rows: &[u64],
) -> Option<Vec<GroupRows>> {
    let mut groups: Vec<GroupRows> = Vec::new();
    let end = *group_rows.last()?;

    for mut range in ranges {
        if range.end > end || range.start > range.end {
            return None;
        }

        while range.start < range.end {
            let group = group_rows
                .partition_point(|first| *first <= range.start)
                .checked_sub(1)?;
            let first = *group_rows.get(group)?;
            let behind = *group_rows.get(group + 1)?;
            let stop = range.end.min(behind);
            let rows =
                usize::try_from(range.start - first).ok()?..usize::try_from(stop - first).ok()?;

            match groups.last_mut() {
                Some(last) if last.group == group => match last.rows.last_mut() {
                    Some(previous) if previous.end == rows.start => previous.end = rows.end,
                    Some(previous) if previous.end > rows.start => return None,
                    _ => last.rows.push(rows),
                },
                Some(last) if last.group > group => return None,
                _ => groups.push(GroupRows {
                    group,
                    rows: vec![rows],
                }),
            }

            range.start = stop;
        }
    }

    Some(groups)
}

/// Returns the bytes of all pages and dictionaries that hold the rows `wanted`. Columns of `lives`
/// (life spans) are included if any row of the group has a value in them.
pub(crate) fn pages(
    file: &ParquetMetaData,
    wanted: &GroupRows,
    lives: &[usize],
) -> Vec<Range<u64>> {
    let mut bytes = Vec::new();
    let indexes = file
        .offset_index()
        .and_then(|index| index.get(wanted.group));
    let Some(indexes) = indexes else { return bytes };
    let group = file.row_group(wanted.group);
    let rows_end = usize::try_from(group.num_rows()).unwrap_or(0);
    let lives = lives
        .iter()
        .copied()
        .filter(|column| has_values(file, wanted.group, *column));

    for column in READ.into_iter().chain(lives) {
        let (Some(chunk), Some(index)) = (group.columns().get(column), indexes.get(column)) else {
            continue;
        };
        let pages = index.page_locations();
        let (start, _) = chunk.byte_range();

        if let Some(first) = pages
            .first()
            .map(|page| page.offset.cast_unsigned())
            .filter(|first| *first > start)
        {
            bytes.push(start..first);
        }

        let first_row = |i: usize| {
            pages.get(i).map_or(rows_end, |page| {
                usize::try_from(page.first_row_index).unwrap_or(0)
            })
        };

        for (i, page) in pages.iter().enumerate() {
            let first = first_row(i);
            let behind = first_row(i + 1);
            let next = wanted.rows.partition_point(|rows| rows.end <= first);

            if wanted
                .rows
                .get(next)
                .is_some_and(|rows| rows.start < behind)
            {
                let start = page.offset.cast_unsigned();
                bytes.push(start..start + u64::from(page.compressed_page_size.cast_unsigned()));
            }
        }
    }

    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row group and rows of it.
    type Group = (usize, &'static [(usize, usize)]);

    fn check(ranges: &[(u64, u64)], expected: Option<&[Group]>) {
        let plan = by_group(
            ranges.iter().map(|(start, end)| *start..*end),
            &[0, 10, 20, 30],
        );

        let expected = expected.map(|groups| {
            let rows =
                |rows: &[(usize, usize)]| rows.iter().map(|(start, end)| *start..*end).collect();
            groups
                .iter()
                .map(|(group, all)| GroupRows {
                    group: *group,
                    rows: rows(all),
                })
                .collect::<Vec<_>>()
        });

        assert_eq!(plan, expected, "{ranges:?}");
    }

    #[test]
    fn ranges_are_cut_at_row_groups_and_neighbours_join() {
        let expected: [Group; 3] = [(0, &[(5, 10)]), (1, &[(0, 2), (4, 5)]), (2, &[(5, 10)])];
        check(&[(5, 8), (8, 12), (14, 15), (25, 30)], Some(&expected));
        check(
            &[(5, 25)],
            Some(&[(0, &[(5, 10)]), (1, &[(0, 10)]), (2, &[(0, 5)])]),
        );
    }

    #[test]
    fn rows_outside_of_the_file_or_out_of_order_are_refused() {
        check(&[(5, 31)], None);
        check(&[(5, 8), (7, 9)], None);
        check(&[(25, 26), (5, 6)], None);
    }
}
