//! The error for a text that is not a query.

use std::fmt;

use duramen_model::ErrorKind;

use crate::position::{PosRange, line_and_column};

/// The first fault found in a query text.
///
/// `Display` prints it as Prometheus does: `1:5: parse error: unclosed left parenthesis`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseError {
    /// The position of the fault in bytes. `end` equals `start` if something is missing there.
    pub position: PosRange,
    /// The line of `position.start`; the first line is 1.
    pub line: usize,
    /// The column of `position.start` in bytes; the first column is 1.
    pub column: usize,
    /// What is wrong, without the position.
    pub message: String,
    place: Place,
    limit: Option<&'static str>,
}

/// How the position is printed. An empty text has no lines, so its position is printed as unknown,
/// as upstream does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    LineAndColumn,
    Unknown,
}

impl ParseError {
    pub(crate) fn new(text: &str, position: PosRange, message: impl Into<String>) -> Self {
        let (line, column) = line_and_column(text, position.start);
        let place = if text.is_empty() {
            Place::Unknown
        } else {
            Place::LineAndColumn
        };

        Self {
            position,
            line,
            column,
            message: message.into(),
            place,
            limit: None,
        }
    }

    pub(crate) fn over(
        text: &str,
        position: PosRange,
        limit: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            limit: Some(limit),
            ..Self::new(text, position, message)
        }
    }

    /// The name of the limit that the text exceeds. `None` for a syntax error.
    pub fn limit(&self) -> Option<&'static str> {
        self.limit
    }

    /// [`ErrorKind::TooMuch`] if the text exceeds a limit, otherwise [`ErrorKind::Invalid`]. The
    /// text must change in both cases.
    pub fn kind(&self) -> ErrorKind {
        match self.limit {
            Some(_) => ErrorKind::TooMuch,
            None => ErrorKind::Invalid,
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::LineAndColumn => write!(f, "{}:{}", self.line, self.column)?,
            Place::Unknown => f.write_str("unknown position")?,
        }

        write!(f, ": parse error: {}", self.message)
    }
}

impl std::error::Error for ParseError {}
