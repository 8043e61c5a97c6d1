//! The settings of a process with their origins.

use std::collections::BTreeMap;

use super::Config;

/// The settings, and the origin of each.
#[derive(Clone, Debug)]
pub struct Settings {
    pub config: Config,
    /// The origins by key, for values that are not defaults.
    pub(super) origins: BTreeMap<String, Origin>,
    /// Sentences about settings that are larger than the memory allows.
    pub(super) unfit: Vec<String>,
}

/// The origin of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    File,
    /// The name of the variable.
    Environment(String),
    /// The name of the flag.
    Flag(String),
    /// Derived from other settings and the machine, as the text says.
    Derived(String),
}

impl Settings {
    /// Returns sentences about settings that are larger than the memory allows. A process uses less
    /// for them and starts anyway.
    pub fn unfit(&self) -> &[String] {
        &self.unfit
    }
}
