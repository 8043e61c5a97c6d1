//! What the syntax needs to know about matchers. The only place that touches regexes.

use duramen_model::METRIC_NAME;
use duramen_model::regex::GoRegex;

use crate::ast::{LabelMatcher, MatchOp};

/// The matcher that a metric name stands for.
pub(crate) fn of_name(name: String) -> LabelMatcher {
    LabelMatcher { name: METRIC_NAME.to_owned(), op: MatchOp::Equal, value: name }
}

/// Whether the pattern of a regex matcher compiles; if not, why.
pub(crate) fn validate(matcher: &LabelMatcher) -> Result<(), String> {
    match matcher.op {
        MatchOp::Equal | MatchOp::NotEqual => Ok(()),
        MatchOp::Regex | MatchOp::NotRegex => {
            GoRegex::parse(&matcher.value).map(|_| ()).map_err(|error| error.to_string())
        }
    }
}

/// Whether a series without the label passes. A pattern that does not compile passes nothing.
pub(crate) fn matches_empty(matcher: &LabelMatcher) -> bool {
    let pattern_matches_empty = || GoRegex::parse(&matcher.value).is_ok_and(|pattern| pattern.matches_empty());
    match matcher.op {
        MatchOp::Equal => matcher.value.is_empty(),
        MatchOp::NotEqual => !matcher.value.is_empty(),
        MatchOp::Regex => pattern_matches_empty(),
        MatchOp::NotRegex => !pattern_matches_empty(),
    }
}
