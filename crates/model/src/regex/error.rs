//! Why a pattern is refused.

use crate::ErrorKind;

/// The most of a pattern that a message repeats, in bytes.
const EXCERPT_BYTES_MAX: usize = 256;

/// Why a pattern is refused. `Display` of a fault of syntax is what Go's `regexp/syntax` prints, so
/// that people find the same words as with Prometheus; of a pattern longer than a message should be
/// only the beginning is shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not Go's syntax, or over a limit that Go has too.
    #[error("error parsing regexp: {fault}: `{excerpt}`")]
    Syntax { fault: Fault, excerpt: String },
    /// Good syntax, but over a limit of ours: it would cost more memory or time than one pattern
    /// may.
    #[error("error parsing regexp: over a limit. limit=`{limit}`, max=`{max}`")]
    Limit { limit: &'static str, max: usize },
    /// Good each by itself, but all of a request would cost too much.
    #[error(
        "the regexes of the request are too large. regex_bytes=`{bytes}`, regex_bytes_max=`{max}`"
    )]
    Together { bytes: usize, max: usize },
}

/// What is wrong with the syntax, in Go's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    #[error("invalid character class range")]
    InvalidCharRange,
    #[error("invalid escape sequence")]
    InvalidEscape,
    #[error("invalid named capture")]
    InvalidNamedCapture,
    #[error("invalid or unsupported Perl syntax")]
    InvalidPerlOp,
    #[error("invalid nested repetition operator")]
    InvalidRepeatOp,
    #[error("invalid repeat count")]
    InvalidRepeatSize,
    #[error("missing closing ]")]
    MissingBracket,
    #[error("missing closing )")]
    MissingParen,
    #[error("missing argument to repetition operator")]
    MissingRepeatArgument,
    #[error("trailing backslash at end of expression")]
    TrailingBackslash,
    #[error("unexpected )")]
    UnexpectedParen,
    #[error("expression nests too deeply")]
    NestingDepth,
    #[error("expression too large")]
    Large,
}

impl Error {
    pub(super) fn syntax(fault: Fault, excerpt: &str) -> Self {
        let mut excerpt_text = String::from(excerpt);
        if excerpt.len() > EXCERPT_BYTES_MAX {
            excerpt_text.truncate(excerpt.floor_char_boundary(EXCERPT_BYTES_MAX));
            excerpt_text.push_str("...");
        }

        Self::Syntax {
            fault,
            excerpt: excerpt_text,
        }
    }

    /// The limit of a request's regexes that was passed; `None` for a pattern that is refused for
    /// itself.
    pub fn limit(&self) -> Option<&'static str> {
        matches!(self, Self::Together { .. }).then_some("regex_bytes_max")
    }

    /// Always a fault of the request.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Syntax { .. } => ErrorKind::Invalid,
            Self::Limit { .. } | Self::Together { .. } => ErrorKind::TooMuch,
        }
    }
}
