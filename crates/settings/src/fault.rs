//! The faults of settings.

use std::fmt;

/// One fault: its place and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The keys from the outermost to the innermost, with points between them; empty for the whole
    /// file.
    pub key: String,
    /// The line, counted from 1, if it is known.
    pub line: Option<u64>,
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }

        f.write_str(&self.why)?;
        self.line.map_or(Ok(()), |line| write!(f, " (line {line})"))
    }
}

/// All faults of a file, so that a person can correct them at once. It is never empty when it is an
/// error.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// Adds a fault of `key` with the reason `why`, unless the condition `holds`.
    pub fn check(&mut self, holds: bool, key: impl Into<String>, why: impl FnOnce() -> String) {
        if !holds {
            self.0.push(Fault {
                key: key.into(),
                line: None,
                why: why(),
            });
        }
    }

    /// Returns `Err` if there are faults.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().enumerate() {
            write!(f, "{}{fault}", if n == 0 { "" } else { "; " })?;
        }

        Ok(())
    }
}
