//! Rules of retention: which series are kept for how long.

use std::sync::Arc;
use std::time::Duration;

use duramen_model::{Matcher, Regexes};
use duramen_settings::duration;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most regexes of one selector, by their cost: roughly the memory of their automata.
const REGEX_BYTES_MAX: usize = 8 << 20;

/// How long the series that a selector matches are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionRule {
    pub selector: Selector,
    /// 0 keeps them for ever.
    #[serde(with = "duration")]
    pub period: Duration,
}

/// A selector such as `{env="dev"}`.
#[derive(Clone, Debug)]
pub struct Selector {
    text: String,
    pub(crate) matchers: Arc<[Matcher]>,
}

impl Selector {
    /// Parses a selector. It may match everything.
    pub fn parse(text: &str) -> Result<Self, String> {
        let regexes = Regexes::new(REGEX_BYTES_MAX);
        let parsed = duramen_syntax::parse_selector(text).map_err(|error| error.to_string())?;
        let matchers = parsed.iter().map(|matcher| matcher.compile(&regexes));
        let matchers: Result<Vec<Matcher>, _> = matchers.collect();

        Ok(Self {
            text: text.to_owned(),
            matchers: matchers.map_err(|error| error.to_string())?.into(),
        })
    }

    pub fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }
}

impl PartialEq for Selector {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|why| D::Error::custom(format!("not a selector: {why}")))
    }
}

/// Returns the time from which on samples are kept for `period`, at `now_ms`. The smallest number
/// keeps everything.
pub(crate) fn kept_from_ms(period: Option<Duration>, now_ms: i64) -> i64 {
    let Some(period) = period.filter(|period| !period.is_zero()) else {
        return i64::MIN;
    };

    i64::try_from(period.as_millis()).map_or(i64::MIN, |ms| now_ms.saturating_sub(ms))
}
