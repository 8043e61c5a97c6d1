//! Rows without those that are hidden, each as a whole.

use std::collections::BTreeSet;
use std::sync::Arc;

use duramen_model::deletion::{ValueOp, ValueTest};
use duramen_model::{Deletion, Labels, RolledDay};
use futures::{StreamExt, TryStreamExt};

use crate::rollup::RollupStream;
use crate::rollup::batch::RollupBatch;
use crate::rollup::row::RollupRow;

/// Returns the rows of which no sample was deleted. A row with a sample that may have been deleted
/// is left out: what was deleted is in no answer.
pub fn without_deleted(rows: RollupStream, deletions: Vec<Arc<Deletion>>) -> RollupStream {
    let is_hidden = move |labels: &Labels, row: &RollupRow| {
        let mut deletions = deletions.iter();
        deletions.any(|deletion| may_touch(deletion, row) && deletion.means(labels.encoded()))
    };

    filtered(rows, is_hidden)
}

/// Whether a deletion may mean a sample of the row, if it means the series.
fn may_touch(deletion: &Deletion, row: &RollupRow) -> bool {
    let overlaps = row.span_ms().is_some_and(|(first_ms, last_ms)| {
        first_ms < deletion.range.end_ms() && last_ms >= deletion.range.start_ms()
    });

    overlaps && deletion.value.is_none_or(|test| may_pass(test, row))
}

/// Whether a float of the row may pass the test. False only if none can.
fn may_pass(test: ValueTest, row: &RollupRow) -> bool {
    match test.op {
        ValueOp::Above | ValueOp::AtLeast => test.passes(row.max),
        ValueOp::Below | ValueOp::AtMost => test.passes(row.min),
        ValueOp::Equal => row.min <= test.operand && test.operand <= row.max,
        ValueOp::NotEqual => row.min != test.operand || row.max != test.operand,
    }
}

/// Returns the rows of the samples of these days, given by their starts. No row has samples of two
/// days: rollups are made of one day after the other.
pub fn of_days(rows: RollupStream, days: BTreeSet<i64>) -> RollupStream {
    let is_other = move |_: &Labels, row: &RollupRow| {
        let first_ms = row.place().1;
        let day = first_ms.div_euclid(RolledDay::LENGTH_MS) * RolledDay::LENGTH_MS;
        !days.contains(&day)
    };

    filtered(rows, is_other)
}

/// Returns the rows that are not hidden.
pub(crate) fn filtered(
    rows: RollupStream,
    is_hidden: impl Fn(&Labels, &RollupRow) -> bool + Send + 'static,
) -> RollupStream {
    rows.map_ok(move |batch| without(&batch, &is_hidden))
        .boxed()
}

fn without(batch: &RollupBatch, is_hidden: &impl Fn(&Labels, &RollupRow) -> bool) -> RollupBatch {
    let mut left = RollupBatch::default();

    for (labels, rows) in batch.series() {
        let seen = rows.iter().filter(|row| !is_hidden(&labels, row));
        left.rows_mut().extend(seen);
        left.end_series(labels.encoded());
    }

    left
}
