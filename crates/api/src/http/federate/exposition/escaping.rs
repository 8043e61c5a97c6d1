//! Names of metrics and labels for scrapers that do not read all of UTF-8.

/// How names are written that have characters outside of `[a-zA-Z0-9_:]` or begin with a digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escaping {
    /// As they are, in quotes.
    AllowUtf8,
    /// `_` for each such character.
    Underscores,
    /// `_dot_` for a point, `__` for an underscore and for any other such character.
    Dots,
    /// `U__`, then `__` for an underscore and `_<hex>_` for each such character.
    Values,
}

impl Escaping {
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values]
            .into_iter()
            .find(|one| one.name() == name)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    pub(super) fn apply(self, name: &str) -> String {
        if self == Self::AllowUtf8 || (self != Self::Dots && is_plain(name)) {
            return name.to_owned();
        }

        let mut escaped = String::from(if self == Self::Values { "U__" } else { "" });

        for (at, c) in name.char_indices() {
            match self {
                Self::Dots if c == '.' => escaped.push_str("_dot_"),
                Self::Dots | Self::Values if c == '_' => escaped.push_str("__"),
                _ if is_plain_char(at, c) => escaped.push(c),
                Self::Dots => escaped.push_str("__"),
                Self::Values => escaped.push_str(&format!("_{:x}_", u32::from(c))),
                Self::Underscores | Self::AllowUtf8 => escaped.push('_'),
            }
        }

        escaped
    }
}

/// Whether a name is written without quotes.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.char_indices().all(|(at, c)| is_plain_char(at, c))
}

const fn is_plain_char(at: usize, c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == ':' || (at > 0 && c.is_ascii_digit())
}
