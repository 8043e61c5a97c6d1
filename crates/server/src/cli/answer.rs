//! The answer of a command that ends by itself.

/// What a command found or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// The exit code of the process.
    pub(crate) code: u8,
}

impl Answer {
    pub(crate) const fn good(text: String) -> Self {
        Self { text, code: 0 }
    }

    /// An answer with the exit code 0 or, if something is wrong with what was looked at, 1.
    pub(crate) fn judged(text: String, is_good: bool) -> Self {
        Self {
            text,
            code: u8::from(!is_good),
        }
    }
}
