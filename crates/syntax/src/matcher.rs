//! Checks and compiles matchers. Only this file uses regexes.

use duramen_model::{METRIC_NAME, MatchOp as Compiled, Matcher, Regexes, regex};

use crate::ast::{LabelMatcher, MatchOp};

impl LabelMatcher {
    /// Compiles the matcher. It never fails for a matcher that the parser has accepted.
    pub fn compile(&self, regexes: &Regexes) -> Result<Matcher, regex::Error> {
        let op = match self.op {
            MatchOp::Equal => Compiled::Equal(self.value.clone()),
            MatchOp::NotEqual => Compiled::NotEqual(self.value.clone()),
            MatchOp::Regex => Compiled::Regex(regexes.read(&self.value)?),
            MatchOp::NotRegex => Compiled::NotRegex(regexes.read(&self.value)?),
        };

        Ok(Matcher::of(self.name.clone(), op))
    }
}

/// The matcher of a metric name.
pub(crate) fn of_name(name: String) -> LabelMatcher {
    LabelMatcher {
        name: METRIC_NAME.to_owned(),
        op: MatchOp::Equal,
        value: name,
    }
}

/// Checks the pattern of a regex matcher.
pub(crate) fn validate(matcher: &LabelMatcher, regexes: &Regexes) -> Result<(), regex::Error> {
    match matcher.op {
        MatchOp::Equal | MatchOp::NotEqual => Ok(()),
        MatchOp::Regex | MatchOp::NotRegex => regexes.read(&matcher.value).map(drop),
    }
}

/// Whether a series without the label passes. An invalid pattern passes nothing.
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
