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

    /// Whether any value from `first` to `last` may pass, both inclusive, in the order of bytes.
    /// False only if none can. The ends need not be values themselves.
    pub fn may_match_within(&self, first: &[u8], last: &[u8]) -> bool {
        let within = |value: &str| first <= value.as_bytes() && value.as_bytes() <= last;

        match &self.op {
            MatchOp::Equal(value) => within(value),
            MatchOp::Regex(pattern) => match (pattern.literals(), pattern.literal_prefix()) {
                (Some(literals), _) => literals.iter().any(|value| within(value)),
                (None, Some(prefix)) => {
                    let prefix = prefix.as_bytes();
                    last >= prefix && (first <= prefix || first.starts_with(prefix))
                }
                (None, None) => true,
            },
            MatchOp::NotEqual(_) | MatchOp::NotRegex(_) => true,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_ruled_out_only_if_no_value_in_it_matches() {
        let values = ["", "a", "aa", "ab", "abc", "b", "ba", "c", "é"];
        let patterns = [
            "", "a", "aa", "a.*", "ab.+", "b|c", "(a|b)", "a?b", ".*", ".+", "[^a]", "x|", "é.*",
        ];
        let mut ruled_out = 0;

        for pattern in patterns {
            let matchers = [
                Matcher::equal("l", pattern),
                Matcher::not_equal("l", pattern),
                Matcher::regex("l", pattern).unwrap(),
                Matcher::not_regex("l", pattern).unwrap(),
            ];

            for matcher in &matchers {
                for (at, first) in values.iter().enumerate() {
                    for (length, last) in values[at..].iter().enumerate() {
                        let any = values[at..=at + length].iter().any(|v| matcher.matches(v));
                        let may = matcher.may_match_within(first.as_bytes(), last.as_bytes());

                        assert!(may || !any, "{matcher} from {first:?} to {last:?}");
                        ruled_out += usize::from(!may);
                    }
                }
            }
        }

        assert!(ruled_out > 200, "{ruled_out}");
        assert!(!Matcher::equal("l", "b").may_match_within(b"c", b"d"));
        assert!(
            !Matcher::regex("l", "ab.*")
                .unwrap()
                .may_match_within(b"ac", b"b")
        );
        assert!(
            Matcher::regex("l", "ab.*")
                .unwrap()
                .may_match_within(b"abc", b"abd")
        );
        assert!(
            !Matcher::regex("l", "a|x")
                .unwrap()
                .may_match_within(b"b", b"c")
        );
    }
}
