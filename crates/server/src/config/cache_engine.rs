//! The setting that says how the disk cache keeps its entries.

use std::fmt;
use std::str::FromStr;

use duramen_cache::EngineKind;
use serde::{Deserialize, Serialize};

/// An engine of the disk cache, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CacheEngine(pub EngineKind);

impl Default for CacheEngine {
    fn default() -> Self {
        Self(EngineKind::Files)
    }
}

impl fmt::Display for CacheEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            EngineKind::Files => "files",
            EngineKind::Foyer => "foyer",
        })
    }
}

impl FromStr for CacheEngine {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "files" => Ok(Self(EngineKind::Files)),
            "foyer" => Ok(Self(EngineKind::Foyer)),
            _ => Err("must be files or foyer".to_owned()),
        }
    }
}

impl TryFrom<String> for CacheEngine {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl From<CacheEngine> for String {
    fn from(engine: CacheEngine) -> Self {
        engine.to_string()
    }
}
