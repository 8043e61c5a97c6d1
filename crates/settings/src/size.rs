//! Sizes in bytes: `64MiB`, `512KiB`, `1000`. Used with `#[serde(with = "size")]`.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

/// The units are powers of two. MB is not accepted, because it can mean two sizes.
const UNITS: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Parses a size: a whole number and a unit. A number without a unit is in bytes.
pub fn parse(text: &str) -> Result<usize, String> {
    let expected = || {
        format!("{text:?} is not a size: a whole number with B, KiB, MiB, GiB or TiB is expected")
    };
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);

    let unit = if unit.is_empty() {
        "B"
    } else {
        unit.trim_start()
    };

    let (_, bytes) = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(expected)?;

    let number: u64 = number.parse().map_err(|_| expected())?;
    number
        .checked_mul(*bytes)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| format!("{text} is too much"))
}

/// Prints a size as a whole number of the largest possible unit.
pub fn print(bytes: usize) -> String {
    let bytes = bytes as u64;
    let (unit, of) = UNITS
        .into_iter()
        .find(|(_, of)| bytes >= *of && bytes.is_multiple_of(*of))
        .unwrap_or(("B", 1));

    format!("{}{unit}", bytes / of)
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
pub fn serialize<S: Serializer>(bytes: &usize, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&print(*bytes))
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    deserializer.deserialize_any(Text)
}

/// A size that may be missing. Used with `#[serde(with = "size::optional")]`.
pub mod optional {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde hands out references")]
    pub fn serialize<S: Serializer>(
        bytes: &Option<usize>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => super::serialize(bytes, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<usize>, D::Error> {
        #[derive(Deserialize)]
        struct Size(#[serde(with = "super")] usize);

        let size = Option::<Size>::deserialize(deserializer)?;
        Ok(size.map(|Size(bytes)| bytes))
    }
}

struct Text;

impl Visitor<'_> for Text {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as 64MiB")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<usize, E> {
        parse(text).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<usize, E> {
        usize::try_from(bytes).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_whole_numbers_of_powers_of_two() {
        for (text, bytes, back) in [
            ("0", 0, "0B"),
            ("1000", 1000, "1000B"),
            ("1024", 1024, "1KiB"),
            ("64MiB", 64 << 20, "64MiB"),
            ("64 MiB", 64 << 20, "64MiB"),
            ("1536KiB", 1536 << 10, "1536KiB"),
            ("2TiB", 2 << 40, "2TiB"),
        ] {
            let read = parse(text).unwrap();
            assert_eq!((read, print(read).as_str()), (bytes, back), "{text}");
        }

        for text in ["", "MiB", "64MB", "1.5GiB", "-1", "64mib", "99999999999TiB"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(bytes: usize) {
            prop_assert_eq!(parse(&print(bytes)), Ok(bytes));
        }
    }
}
