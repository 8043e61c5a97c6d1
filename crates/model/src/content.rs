//! What a block stands for, as one number.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::Xxh3;

use crate::TenantId;
use crate::order::Order;

/// The sum of the hashes of the flushes that a block stands for, modulo 2^128. It is the key of
/// what was computed from blocks: a merge keeps the sum over the distinct contents of all blocks,
/// and a new flush changes it.
///
/// Siblings are the blocks of one output. All of them have the content of the whole output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Content(pub u128);

impl Content {
    /// Returns the content of a block of the flush `order`, for the window that begins at
    /// `window_start_ms`: xxh3-128 of tenant, opened, writer, flush and start, each as its bytes
    /// in big-endian order.
    pub fn of_flush(tenant: TenantId, order: Order, window_start_ms: i64) -> Self {
        let mut hash = Xxh3::new();

        hash.update(&tenant.0.to_bytes());
        hash.update(&order.opened.to_be_bytes());
        hash.update(&order.writer.0.to_bytes());
        hash.update(&order.flush.to_be_bytes());
        hash.update(&window_start_ms.to_be_bytes());

        Self(hash.digest128())
    }

    /// Returns the content of a merge of blocks with these contents. Equal contents, which siblings
    /// have, count once.
    pub fn of_merge(inputs: impl IntoIterator<Item = Self>) -> Self {
        let distinct: BTreeSet<Self> = inputs.into_iter().collect();

        Self(
            distinct
                .iter()
                .fold(0, |sum, content| sum.wrapping_add(content.0)),
        )
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A text that is not 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a content is 32 hexadecimal digits in lower case")]
pub struct NotAContent;

impl FromStr for Content {
    type Err = NotAContent;

    fn from_str(text: &str) -> Result<Self, NotAContent> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 32 || !text.bytes().all(is_digit) {
            return Err(NotAContent);
        }

        let number = u128::from_str_radix(text, 16).map_err(|_| NotAContent)?;
        Ok(Self(number))
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;
    use crate::WriterId;

    fn flush(flush: u64, window_start_ms: i64) -> Content {
        let order = Order {
            opened: 5,
            writer: WriterId(Ulid(6)),
            flush,
        };

        Content::of_flush(TenantId(Ulid(7)), order, window_start_ms)
    }

    #[test]
    fn a_merge_keeps_the_sum_of_the_distinct_contents() {
        let [a, b, c] = [flush(1, 0), flush(1, 7_200_000), flush(2, 0)];
        let ab = Content::of_merge([a, b, a]);

        assert_eq!(ab, Content::of_merge([b, a]));
        assert_eq!(Content::of_merge([ab, c]), Content::of_merge([a, b, c]));
        assert_ne!(Content::of_merge([ab, c]), ab);
    }

    #[test]
    fn each_part_of_a_flush_has_a_content_of_its_own() {
        let all = [flush(1, 0), flush(1, 1), flush(2, 0), flush(1, -1)];
        let distinct: BTreeSet<_> = all.into_iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn the_text_of_a_content_is_32_digits() {
        let content = Content(0xabc);
        let text = format!("\"{}abc\"", "0".repeat(29));

        assert_eq!(serde_json::to_string(&content).unwrap(), text);
        assert_eq!(serde_json::from_str::<Content>(&text).unwrap(), content);

        for bad in ["", "abc", &"A".repeat(32), &"+".repeat(32), &"0".repeat(33)] {
            assert!(bad.parse::<Content>().is_err(), "{bad}");
        }
    }
}
