//! Matchers from their syntax.

use duramen_model::Matcher;
use duramen_syntax::ast::{MatchOp, VectorSelector};

use crate::error::Error;

/// The conditions of a selector, compiled.
pub(crate) fn matchers(selector: &VectorSelector) -> Result<Vec<Matcher>, Error> {
    let compile = |matcher: &duramen_syntax::ast::LabelMatcher| {
        let (name, value) = (matcher.name.as_str(), matcher.value.as_str());
        match matcher.op {
            MatchOp::Equal => Ok(Matcher::equal(name, value)),
            MatchOp::NotEqual => Ok(Matcher::not_equal(name, value)),
            MatchOp::Regex => Matcher::regex(name, value),
            MatchOp::NotRegex => Matcher::not_regex(name, value),
        }
    };
    // The parser has compiled each regex already, so this fails for nothing that it let through.
    selector.matchers.iter().map(|m| compile(m).map_err(|e| Error::NotASelector(e.to_string()))).collect()
}
