//! The settings of a process with their origins.

use std::collections::BTreeMap;

use super::Config;

/// Settings, and where each is from.
#[derive(Clone, Debug)]
pub struct Settings {
    pub config: Config,
    /// By key, for what is not a default.
    pub(super) origins: BTreeMap<String, Origin>,
    /// What was set and does not fit into the memory that there is, in sentences.
    pub(super) unfit: Vec<String>,
}

/// Who set a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    File,
    /// The name of the variable.
    Environment(String),
    /// The name of the flag.
    Flag(String),
    /// Nobody: it follows from other settings and the machine, as the text says.
    Derived(String),
}

impl Settings {
    /// What was set and does not fit into the memory that there is. A process that starts makes do
    /// with less.
    pub fn unfit(&self) -> &[String] {
        &self.unfit
    }
}
