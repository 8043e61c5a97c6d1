//! The names of tenants.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A tenant's name as users write it: 1 to 150 bytes of ASCII letters, digits and `!-_.*'()`, but
/// not `.` or `..`.
///
/// A name is a value, never a path: storage knows a tenant by its [`crate::TenantId`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantName(Arc<str>);

/// Why a text is not a tenant's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TenantNameError {
    #[error("the tenant name is empty")]
    Empty,
    #[error(
        "the tenant name is too long. bytes=`{bytes}`, bytes_max=`{}`",
        TenantName::BYTES_MAX
    )]
    TooLong { bytes: usize },
    #[error("the tenant name has a character that is not allowed. character=`{}`, byte_offset=`{byte_offset}`, allowed=`{}`",
        character.escape_default(), TenantName::ALLOWED)]
    Character { character: char, byte_offset: usize },
    #[error("the tenant name is a path. name=`{name}`")]
    Path { name: String },
}

impl TenantName {
    /// The maximum length of a name in bytes, as in Mimir.
    pub const BYTES_MAX: usize = 150;
    const ALLOWED: &str = "letters, digits and !-_.*'()";

    pub fn parse(name: &str) -> Result<Self, TenantNameError> {
        if name.is_empty() {
            return Err(TenantNameError::Empty);
        }

        if name.len() > Self::BYTES_MAX {
            return Err(TenantNameError::TooLong { bytes: name.len() });
        }

        if let Some((byte_offset, character)) = name
            .char_indices()
            .find(|(_, c)| !c.is_ascii_alphanumeric() && !"!-_.*'()".contains(*c))
        {
            return Err(TenantNameError::Character {
                character,
                byte_offset,
            });
        }

        if name == "." || name == ".." {
            return Err(TenantNameError::Path {
                name: name.to_owned(),
            });
        }

        Ok(Self(Arc::from(name)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TenantName {
    type Error = TenantNameError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::parse(&name)
    }
}

impl From<TenantName> for String {
    fn from(name: TenantName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_paths_are_refused() {
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "a\\b",
            "%2e",
            "a|b",
            "tenant\n",
            "é",
            &"x".repeat(151),
        ] {
            assert!(TenantName::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn names_of_the_usual_alphabet_are_kept() {
        for name in [
            "anonymous",
            "team-a_1.prod",
            "!*'()",
            "...",
            &"x".repeat(150),
        ] {
            assert_eq!(TenantName::parse(name).unwrap().as_str(), name);
        }
    }
}
