//! Matchers from their syntax.

use duramen_model::Matcher;
use duramen_syntax::ast::{LabelMatcher, MatchOp, VectorSelector};

use crate::error::Error;

/// The conditions of a selector, compiled.
pub(crate) fn matchers(selector: &VectorSelector) -> Result<Vec<Matcher>, Error> {
    selector.matchers.iter().map(compile).collect()
}

/// Reads a selector that may match everything, or have no matchers at all.
pub fn selector(text: &str) -> Result<Vec<Matcher>, Error> {
    duramen_syntax::parse_selector(text)?.iter().map(compile).collect()
}

fn compile(matcher: &LabelMatcher) -> Result<Matcher, Error> {
    let (name, value) = (matcher.name.as_str(), matcher.value.as_str());
    let compiled = match matcher.op {
        MatchOp::Equal => Ok(Matcher::equal(name, value)),
        MatchOp::NotEqual => Ok(Matcher::not_equal(name, value)),
        MatchOp::Regex => Matcher::regex(name, value),
        MatchOp::NotRegex => Matcher::not_regex(name, value),
    };
    // The parser has compiled each regex already, so this fails for nothing that it let through.
    compiled.map_err(|e| Error::NotASelector(e.to_string()))
}
