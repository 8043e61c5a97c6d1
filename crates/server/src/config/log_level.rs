//! What is logged, as people write it.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Checks a level, or a filter: levels and `MODULE=LEVEL`, with commas between them.
///
/// # Errors
/// A text that names the part which is neither. A word that is no level would be the name of a
/// module, and every line of all others would be lost.
pub(super) fn parse(text: &str) -> Result<String, String> {
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));

    let is_part = |part: &str| match part.split_once('=') {
        None => is_level(part),
        Some((module, level)) => !module.is_empty() && is_level(level),
    };

    match text.split(',').map(str::trim).find(|part| !is_part(part)) {
        None => Ok(text.to_owned()),
        Some(part) => Err(format!(
            "`{part}` is neither a level ({}) nor MODULE=LEVEL, such as duramen_ingest=debug",
            LEVELS.join(", ")
        )),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for text in [
            "info",
            "WARN",
            "info,duramen_ingest=debug",
            "off, duramen=trace",
        ] {
            assert_eq!(parse(text).unwrap(), text);
        }

        for text in ["chatty", "", "info,chatty", "duramen=loud", "=info"] {
            let why = parse(text).unwrap_err();
            assert!(why.contains("neither a level"), "{text}: {why}");
        }
    }
}
