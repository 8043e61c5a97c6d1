//! What a later version adds to an edit, and this version may ignore.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The most additions of one edit.
pub const ADDITIONS_MAX: usize = 16;

/// Texts by name. They are kept with the edit as long as objects repeat it, and have no effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Optional(BTreeMap<String, String>);

impl Optional {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for Optional {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Additions)
    }
}

struct Additions;

impl<'de> Visitor<'de> for Additions {
    type Value = Optional;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {ADDITIONS_MAX} texts by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Optional, A::Error> {
        let mut additions = BTreeMap::new();

        while let Some((name, text)) = map.next_entry::<String, String>()? {
            let is_new = additions.insert(name, text).is_none();
            if !is_new || additions.len() > ADDITIONS_MAX {
                return Err(A::Error::custom(
                    "an edit has too many additions, or one twice",
                ));
            }
        }

        Ok(Optional(additions))
    }
}
