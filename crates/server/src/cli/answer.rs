//! The answer of a command that ends by itself.

/// What a command found or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// Whether the process ends with the exit code 0. Else it is 1.
    pub(crate) is_good: bool,
}

impl Answer {
    pub(crate) const fn good(text: String) -> Self {
        Self {
            text,
            is_good: true,
        }
    }
}
