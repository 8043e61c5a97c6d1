//! Prints the effective settings.

use std::collections::BTreeMap;
use std::fmt;

use duramen_settings::leaves;
use serde_json::Value;

use super::Config;
use super::layers::settable;
use super::settings::{Origin, Settings};

impl Settings {
    /// Returns the settings as YAML that can be read again, secrets hidden. A value that is not a
    /// default has its origin in a comment after it.
    pub fn yaml(&self) -> String {
        let tree = serde_json::to_value(&self.config).expect("plain values have JSON");
        let values: BTreeMap<_, _> = leaves(&tree).into_iter().collect();
        let mut text = String::new();
        let mut section = None;

        for argument in settable() {
            let key = argument.get_id().as_str();
            let (key_section, name) = key
                .split_once('.')
                .map_or((None, key), |(section, name)| (Some(section), name));

            if section.as_deref() != key_section {
                section = key_section.map(str::to_owned);
                text.push_str(&format!("{}:\n", section.as_deref().unwrap_or_default()));
            }

            let indent = if key_section.is_some() { "  " } else { "" };
            let from = self
                .origins
                .get(key)
                .map(|origin| format!("  # {origin}"))
                .unwrap_or_default();

            text.push_str(&format!("{indent}{name}: {}{from}\n", scalar(values[key])));
        }

        text
    }

    /// Returns the settings that were set, as `key=value` with spaces between them. Secrets are
    /// hidden.
    pub(crate) fn changed(&self) -> String {
        let tree = serde_json::to_value(&self.config).expect("plain values have JSON");
        let set = leaves(&tree)
            .into_iter()
            .filter(|(key, _)| self.origins.contains_key(key))
            .map(|(key, value)| format!("{key}={}", scalar(value)));

        set.collect::<Vec<_>>().join(" ")
    }
}

impl Config {
    /// Returns the values as texts by the names of their flags, without leading dashes. Secrets are
    /// hidden, and a value that is not set is empty.
    pub fn flags(&self) -> BTreeMap<String, String> {
        let tree = serde_json::to_value(self).expect("plain values have JSON");
        let values: BTreeMap<_, _> = leaves(&tree).into_iter().collect();

        let text = |value: &Value| match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };

        let flag = |argument: clap::Arg| {
            Some((
                argument.get_long()?.to_owned(),
                text(values[argument.get_id().as_str()]),
            ))
        };

        settable().into_iter().filter_map(flag).collect()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("file"),
            Self::Environment(name) | Self::Flag(name) | Self::Derived(name) => f.write_str(name),
        }
    }
}

/// Returns a scalar of YAML. JSON is YAML too, so a quoted text has JSON's quotes. A text that
/// cannot be mistaken for another value has none.
fn scalar(value: &Value) -> String {
    let Value::String(text) = value else {
        return value.to_string();
    };
    let plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let word = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .contains(&text.to_lowercase().as_str());
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let measure =
        text.starts_with(|c: char| c.is_ascii_digit()) && text.ends_with(['s', 'm', 'h', 'd', 'B']);

    if plain && !word && (starts || measure) {
        text.clone()
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::Config;
    use super::*;

    #[test]
    fn what_is_printed_is_read_again() {
        let mut config = Config {
            data_dir: PathBuf::from("/var/lib/\"x\" # y"),
            multi_tenancy: true,
            ..Config::default()
        };

        config.store = Some("s3://bucket/a: b".to_owned());
        config.limits_file = Some(PathBuf::from("no"));
        config.s3.region = Some("123".to_owned());
        config.s3.path_style = Some(false);

        let origins = [
            ("store", Origin::File),
            (
                "flush.interval",
                Origin::Flag("--flush-interval".to_owned()),
            ),
        ];

        let origins = origins
            .into_iter()
            .map(|(key, origin)| (key.to_owned(), origin))
            .collect();

        let settings = Settings {
            config,
            origins,
            unfit: Vec::new(),
        };

        let yaml = settings.yaml();
        assert_eq!(
            duramen_settings::read::<Config>(&yaml).unwrap(),
            settings.config,
            "{yaml}"
        );

        assert!(
            yaml.contains("flush:\n  interval: 15m  # --flush-interval\n"),
            "{yaml}"
        );
    }
}
