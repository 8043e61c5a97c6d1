//! Label matchers.

use std::fmt;

use crate::{GoRegex, regex};

/// One condition on one label. A series without the label is matched as if its value were "".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Matcher {
    pub name: String,
    pub op: MatchOp,
}

/// The condition on the label's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    Equal(String),
    NotEqual(String),
    /// The regex must match the whole value. Go's syntax; `.` matches a line feed.
    Regex(GoRegex),
    NotRegex(GoRegex),
}

impl Matcher {
    pub fn of(name: impl Into<String>, op: MatchOp) -> Self {
        Self {
            name: name.into(),
            op,
        }
    }

    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            op: MatchOp::Equal(value.into()),
        }
    }

    pub fn not_equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            op: MatchOp::NotEqual(value.into()),
        }
    }

    pub fn regex(name: impl Into<String>, pattern: &str) -> Result<Self, regex::Error> {
        Ok(Self {
            name: name.into(),
            op: MatchOp::Regex(GoRegex::parse(pattern)?),
        })
    }

    pub fn not_regex(name: impl Into<String>, pattern: &str) -> Result<Self, regex::Error> {
        Ok(Self {
            name: name.into(),
            op: MatchOp::NotRegex(GoRegex::parse(pattern)?),
        })
    }

    /// Builds the automaton of the regex, if the matcher has one that needs it; see
    /// [`GoRegex::compile`].
    pub fn compile(&self) {
        if let MatchOp::Regex(pattern) | MatchOp::NotRegex(pattern) = &self.op {
            pattern.compile();
        }
    }

    /// Whether a label with this value passes; "" stands for an absent label.
    pub fn matches(&self, value: &str) -> bool {
        match &self.op {
            MatchOp::Equal(wanted) => value == wanted,
            MatchOp::NotEqual(unwanted) => value != unwanted,
            MatchOp::Regex(pattern) => pattern.is_match(value),
            MatchOp::NotRegex(pattern) => !pattern.is_match(value),
        }
    }

    /// Whether series without the label pass.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (op, value) = match &self.op {
            MatchOp::Equal(value) => ("=", value.as_str()),
            MatchOp::NotEqual(value) => ("!=", value.as_str()),
            MatchOp::Regex(pattern) => ("=~", pattern.pattern()),
            MatchOp::NotRegex(pattern) => ("!~", pattern.pattern()),
        };

        write!(f, "{}{op}{value:?}", self.name)
    }
}
