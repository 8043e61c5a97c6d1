//! What is wrong with settings.

use std::fmt;

/// One fault: where it is, and why it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The keys from the outermost inwards, with points between; empty for the file as a whole.
    pub key: String,
    /// Counted from 1, where it is known.
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

/// All faults that were found, so that one look at the file is enough. Never empty as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// Notes why `key` cannot be what it is, unless it `holds`.
    pub fn check(&mut self, holds: bool, key: impl Into<String>, why: impl FnOnce() -> String) {
        if !holds {
            self.0.push(Fault {
                key: key.into(),
                line: None,
                why: why(),
            });
        }
    }

    /// As a result: an error when there is one.
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
