//! How the reset hint of a histogram is written.

use duramen_model::ResetHint;

/// The hint as the file has it.
pub(crate) const fn text(hint: ResetHint) -> &'static str {
    match hint {
        ResetHint::Unknown => "unknown",
        ResetHint::Reset => "reset",
        ResetHint::NotReset => "not_reset",
        ResetHint::Gauge => "gauge",
    }
}

/// The hint of that name.
pub(crate) fn named(name: &str) -> Option<ResetHint> {
    let all = [
        ResetHint::Unknown,
        ResetHint::Reset,
        ResetHint::NotReset,
        ResetHint::Gauge,
    ];

    all.into_iter().find(|hint| text(*hint) == name)
}
