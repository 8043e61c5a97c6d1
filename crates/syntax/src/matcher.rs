//! What the syntax needs to know about matchers. The only place that touches regexes.

use duramen_model::{METRIC_NAME, Regexes, regex};

use crate::ast::{LabelMatcher, MatchOp};

/// The matcher that a metric name stands for.
pub(crate) fn of_name(name: String) -> LabelMatcher {
    LabelMatcher {
        name: METRIC_NAME.to_owned(),
        op: MatchOp::Equal,
        value: name,
    }
}

/// Whether the pattern of a regex matcher is one; if not, why.
pub(crate) fn validate(matcher: &LabelMatcher, regexes: &Regexes) -> Result<(), regex::Error> {
    match matcher.op {
        MatchOp::Equal | MatchOp::NotEqual => Ok(()),
        MatchOp::Regex | MatchOp::NotRegex => regexes.read(&matcher.value).map(drop),
    }
}

/// Whether a series without the label passes. A pattern that is none passes nothing.
pub(crate) fn matches_empty(matcher: &LabelMatcher, regexes: &Regexes) -> bool {
    let pattern_matches_empty = || {
        regexes
            .read(&matcher.value)
            .is_ok_and(|pattern| pattern.matches_empty())
    };

    match matcher.op {
        MatchOp::Equal => matcher.value.is_empty(),
        MatchOp::NotEqual => !matcher.value.is_empty(),
        MatchOp::Regex => pattern_matches_empty(),
        MatchOp::NotRegex => !pattern_matches_empty(),
    }
}
