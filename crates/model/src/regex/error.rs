//! Why a pattern is refused.

use crate::ErrorKind;

/// How much of a pattern a message shows at most, in bytes.
const EXCERPT_BYTES_MAX: usize = 256;

/// Why a pattern is refused. A syntax error is displayed in the words of Go's `regexp/syntax`, so
/// that people find the same text as with Prometheus. Only the beginning of a long pattern is
/// shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The pattern does not follow Go's syntax, or is over a limit that Go has too.
    #[error("error parsing regexp: {fault}: `{excerpt}`")]
    Syntax { fault: Fault, excerpt: String },
    /// The syntax is correct, but the pattern is over a limit of our own: it would cost too much
    /// memory or time.
    #[error("error parsing regexp: over a limit. limit=`{limit}`, max=`{max}`")]
    Limit { limit: &'static str, max: usize },
    /// Each pattern is fine by itself, but all patterns of the request together would cost too
    /// much.
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

    /// The name of the request's limit that was exceeded. `None` when the pattern itself is
    /// refused.
    pub fn limit(&self) -> Option<&'static str> {
        matches!(self, Self::Together { .. }).then_some("regex_bytes_max")
    }

    /// [`ErrorKind::Invalid`] for a syntax error, [`ErrorKind::TooMuch`] for a limit.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Syntax { .. } => ErrorKind::Invalid,
            Self::Limit { .. } | Self::Together { .. } => ErrorKind::TooMuch,
        }
    }
}
