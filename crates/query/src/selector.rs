//! Compiles matchers from their syntax.

use duramen_model::{Matcher, Regexes};
use duramen_syntax::Bounds;
use duramen_syntax::ast::{LabelMatcher, VectorSelector};

use crate::error::Error;

/// Compiles the matchers of a selector.
pub(crate) fn matchers(
    selector: &VectorSelector,
    regexes: &Regexes,
) -> Result<Vec<Matcher>, Error> {
    of_syntax(&selector.matchers, regexes)
}

/// Parses a selector. It may match everything, or have no matchers at all.
pub(crate) fn selector(text: &str, bounds: &Bounds) -> Result<Vec<Matcher>, Error> {
    of_syntax(
        &duramen_syntax::parse_selector_within(text, bounds)?,
        &bounds.regexes,
    )
}

fn of_syntax(matchers: &[LabelMatcher], regexes: &Regexes) -> Result<Vec<Matcher>, Error> {
    matchers
        .iter()
        .map(|matcher| matcher.compile(regexes))
        .collect::<Result<_, _>>()
        .map_err(|error| Error::NotASelector(error.to_string()))
}
