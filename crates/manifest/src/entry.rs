//! What the entry of a block must hold to be one.

use duramen_model::{BlockEntry, METRIC_NAME_BYTES_MAX, NameBounds, RolledDay};

use crate::state::Violation;

/// The longest name of a class of retention, and of a file.
pub const WORD_BYTES_MAX: usize = 100;

/// The most files of one block.
pub const FILES_MAX: usize = 16;

/// The most days of one rollup.
pub const DAYS_MAX: usize = 366;

/// Checks what [`duramen_model::BlockStats`], the keys of a block's files and pruning by name rely
/// on.
pub(crate) fn check(entry: &BlockEntry) -> Result<(), Violation> {
    match fault(entry) {
        Some(fault) => Err(Violation::BlockEntry {
            block: entry.id,
            fault,
        }),
        None => Ok(()),
    }
}

fn fault(entry: &BlockEntry) -> Option<&'static str> {
    let stats = &entry.stats;

    let faults = [
        (
            stats.max_ts_ms < stats.min_ts_ms,
            "its last timestamp is before its first",
        ),
        (
            stats.max_ts_ms == i64::MAX,
            "its last timestamp has no successor",
        ),
        (stats.ttl_max_ms < 0, "its longest life span is negative"),
        (
            entry.order.max < entry.order.min,
            "its last order is before its first",
        ),
        (
            entry
                .resolution_ms
                .is_some_and(|resolution| resolution <= 0),
            "its resolution is not a length of time",
        ),
        (
            entry.resolution_ms.is_none() && !entry.rolled.is_empty(),
            "it has raw samples and says of which days it is a rollup",
        ),
        (
            !are_days(&entry.rolled),
            "the days of the rollup are none, or do not ascend",
        ),
        (
            !is_word(&entry.retention),
            "its class of retention has a name that is none",
        ),
        (
            entry.content.0 == 0,
            "it does not say which flushes it stands for",
        ),
        (stats.files.len() > FILES_MAX, "it has too many files"),
        (
            !stats.files.iter().all(|file| is_file(&file.name)),
            "a file has a name that is none",
        ),
    ];

    let found = faults
        .into_iter()
        .find_map(|(is_broken, fault)| is_broken.then_some(fault));

    found
        .or_else(|| names_fault(stats.names.as_ref(), stats.series))
        .or_else(|| bytes_fault(entry))
}

/// Whether days begin at multiples of their length, ascend, and say of which samples they are.
fn are_days(days: &[RolledDay]) -> bool {
    const LAST_MS: i64 = i64::MAX - RolledDay::LENGTH_MS;
    let is_day = |day: &RolledDay| {
        day.start_ms % RolledDay::LENGTH_MS == 0
            && day.start_ms < LAST_MS
            && !day.contents.is_empty()
            && day.contents.is_sorted_by(|a, b| a < b)
    };

    days.len() <= DAYS_MAX
        && days.iter().all(is_day)
        && days.is_sorted_by(|a, b| a.start_ms < b.start_ms)
}

/// Whether a text can be the name of a file of a block.
pub(crate) fn is_file(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && is_word(name)
}

/// Whether a text has letters, digits and `-_.` only, and not too many of them.
fn is_word(text: &str) -> bool {
    text.len() <= WORD_BYTES_MAX
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn names_fault(names: Option<&NameBounds>, series: u64) -> Option<&'static str> {
    let Some(NameBounds { first, last }) = names else {
        return (series > 0).then_some("it does not say the names of its series");
    };

    if series == 0 {
        return Some("it has names and no series");
    }

    if first > last {
        return Some("its last name is before its first");
    }

    (first.len().max(last.len()) > METRIC_NAME_BYTES_MAX).then_some("a name is too long")
}

fn bytes_fault(entry: &BlockEntry) -> Option<&'static str> {
    let mut files = entry.stats.files.iter();
    let sum = files.try_fold(entry.stats.meta_bytes, |sum, file| {
        sum.checked_add(file.bytes)
    });

    sum.is_none()
        .then_some("its files are larger than anything")
}
