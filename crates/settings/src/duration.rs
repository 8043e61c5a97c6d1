//! Durations in the form of Prometheus: `5s`, `1h30m`, `0`. Used with `#[serde(with =
//! "duration")]`.

use std::fmt;
use std::time::Duration;

use duramen_model::duration::parse_ms;
use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

/// The units for printing, in milliseconds. Weeks and years are parsed but never printed, because
/// few people know how long a year is here.
const UNITS: [(&str, u128); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Parses a duration. A number without a unit is refused, unless it is 0.
pub fn parse(text: &str) -> Result<Duration, String> {
    let ms = parse_ms(text)
        .map_err(|e| format!("{e}: a duration such as 30s, 5m or 1h30m is expected"))?;
    u64::try_from(ms)
        .map(Duration::from_millis)
        .map_err(|_| "a duration is not negative".to_owned())
}

/// The text of a duration, to the millisecond.
pub fn print(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    if rest == 0 {
        return "0s".to_owned();
    }

    let mut text = String::new();
    for (unit, ms) in UNITS {
        if rest >= ms {
            text.push_str(&format!("{}{unit}", rest / ms));
            rest %= ms;
        }
    }

    text
}

pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&print(*duration))
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(Text)
}

struct Text;

impl Visitor<'_> for Text {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as 30s, 5m or 1h30m")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        parse(text).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Duration, E> {
        parse(&number.to_string()).map_err(E::custom)
    }
}

/// The same for `Option<Duration>`; `None` is null.
pub mod optional {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Held(#[serde(with = "super")] Duration);

    pub fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.map(Held).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<Held>::deserialize(deserializer)?.map(|held| held.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_read_as_prometheus_reads_them() {
        for (text, ms, back) in [
            ("0", 0, "0s"),
            ("15s", 15_000, "15s"),
            ("90m", 5_400_000, "1h30m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("1w", 604_800_000, "7d"),
            ("1500ms", 1_500, "1s500ms"),
        ] {
            let read = parse(text).unwrap();
            assert_eq!(
                (read.as_millis(), print(read).as_str()),
                (ms, back),
                "{text}"
            );
        }

        for text in ["", "15", "-5s", "1.5h", "5 m", "1m1h", "300y", "5µs"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(ms in 0..9_000_000_000_000u64) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse(&print(duration)), Ok(duration));
        }
    }
}
