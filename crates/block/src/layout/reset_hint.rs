//! The names of reset hints in `histograms.parquet`.

use duramen_model::ResetHint;

/// Returns the name of `hint` in the file.
pub(crate) const fn text(hint: ResetHint) -> &'static str {
    match hint {
        ResetHint::Unknown => "unknown",
        ResetHint::Reset => "reset",
        ResetHint::NotReset => "not_reset",
        ResetHint::Gauge => "gauge",
    }
}

/// Returns the hint with the name `name`.
pub(crate) fn named(name: &str) -> Option<ResetHint> {
    let all = [
        ResetHint::Unknown,
        ResetHint::Reset,
        ResetHint::NotReset,
        ResetHint::Gauge,
    ];

    all.into_iter().find(|hint| text(*hint) == name)
}
