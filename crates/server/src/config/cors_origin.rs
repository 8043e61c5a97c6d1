//! The setting that says which pages of other origins may call the API from a browser.

use std::str::FromStr;

use duramen_model::GoRegex;
use serde::{Deserialize, Serialize};

/// The allowed origins: a regex over the whole origin, such as `https?://(a|b)\.example\.org`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CorsOrigin(pub GoRegex);

impl Default for CorsOrigin {
    fn default() -> Self {
        Self(GoRegex::parse(".*").expect("it is a regex"))
    }
}

impl PartialEq for CorsOrigin {
    fn eq(&self, other: &Self) -> bool {
        self.0.pattern() == other.0.pattern()
    }
}

impl TryFrom<String> for CorsOrigin {
    type Error = String;

    fn try_from(pattern: String) -> Result<Self, String> {
        pattern.parse()
    }
}

impl From<CorsOrigin> for String {
    fn from(origin: CorsOrigin) -> Self {
        origin.0.pattern().to_owned()
    }
}

impl FromStr for CorsOrigin {
    type Err = String;

    fn from_str(pattern: &str) -> Result<Self, String> {
        GoRegex::parse(pattern).map(Self).map_err(|e| e.to_string())
    }
}
