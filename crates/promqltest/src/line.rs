//! One line of a script, and the error that names it.

/// The reason why a text is not a valid script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}. line=`{line}`")]
pub struct ScriptError {
    /// The number of the line, counted from 1.
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

/// A line and its number. The line has no leading or trailing space.
pub(crate) type Line<'a> = (usize, &'a str);
