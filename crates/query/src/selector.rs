//! Matchers from their syntax.

use duramen_model::{MatchOp as Op, Matcher, Regexes};
use duramen_syntax::Bounds;
use duramen_syntax::ast::{LabelMatcher, MatchOp, VectorSelector};

use crate::error::Error;

/// The conditions of a selector.
pub(crate) fn matchers(
    selector: &VectorSelector,
    regexes: &Regexes,
) -> Result<Vec<Matcher>, Error> {
    of_syntax(&selector.matchers, regexes)
}

/// Reads a selector that may match everything, or have no matchers at all.
pub(crate) fn selector(text: &str, bounds: &Bounds) -> Result<Vec<Matcher>, Error> {
    of_syntax(
        &duramen_syntax::parse_selector_within(text, bounds)?,
        &bounds.regexes,
    )
}

fn of_syntax(matchers: &[LabelMatcher], regexes: &Regexes) -> Result<Vec<Matcher>, Error> {
    matchers
        .iter()
        .map(|matcher| of_one(matcher, regexes))
        .collect()
}

fn of_one(matcher: &LabelMatcher, regexes: &Regexes) -> Result<Matcher, Error> {
    // The parser has read each regex already, so this fails for nothing that it let through.
    let regex = || {
        regexes
            .read(&matcher.value)
            .map_err(|error| Error::NotASelector(error.to_string()))
    };

    let op = match matcher.op {
        MatchOp::Equal => Op::Equal(matcher.value.clone()),
        MatchOp::NotEqual => Op::NotEqual(matcher.value.clone()),
        MatchOp::Regex => Op::Regex(regex()?),
        MatchOp::NotRegex => Op::NotRegex(regex()?),
    };

    Ok(Matcher::of(matcher.name.clone(), op))
}
