//! One line of a script, and what is wrong with it.

/// Why a text is not a script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}. line=`{line}`")]
pub struct ScriptError {
    /// The first is 1.
    pub line: usize,
    pub reason: String,
}

impl ScriptError {
    pub(crate) fn at(line: usize, reason: impl Into<String>) -> Self {
        Self {
            line,
            reason: reason.into(),
        }
    }
}

/// A line that is not blank, trimmed, and its number.
pub(crate) type Line<'a> = (usize, &'a str);
