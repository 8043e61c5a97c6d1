//! A deletion as the manifest keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duramen_model::{
    BlockEntry, BlockId, Deletion, MatchOp, Matcher, TimeRange, ValueTest, WriterId,
};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// The longest text of a deletion.
pub const DELETION_BYTES_MAX: usize = 4 << 10;
/// The most selectors of a deletion.
pub const SELECTORS_MAX: usize = 100;

/// A deletion with what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tombstone {
    /// The sequence of the edit. Later deletions have higher numbers.
    pub number: u64,
    pub asked: Arc<AskedDeletion>,
    /// For each writer, the position of its log up to which records count as earlier. It has the
    /// positions of earlier deletions too.
    pub positions: BTreeMap<WriterId, u64>,
    /// Blocks that had deleted samples and are not live any more. Their objects may still be there.
    pub remains: BTreeSet<BlockId>,
    /// When the last deleted sample was gone from the bucket.
    pub gone_ms: Option<i64>,
}

impl Tombstone {
    /// Whether a block may have samples that the deletion means, by time and metric names.
    pub fn may_mean(&self, entry: &BlockEntry) -> bool {
        let deletion = &self.asked.deletion;
        let names = entry.stats.names.as_ref();

        deletion.range.overlaps(entry.stats.range())
            && names.is_some_and(|names| deletion.may_mean(names))
    }

    /// Whether the deletion masks the records of a writer that are all before the position `end`
    /// and in no block yet.
    pub fn masks_log(&self, writer: WriterId, end: u64) -> bool {
        let until = self.positions.get(&writer);
        until.is_some_and(|until| end <= *until)
    }
}

/// A deletion as someone has asked for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct AskedDeletion {
    pub id: Ulid,
    pub deletion: Arc<Deletion>,
    /// Who asked, as far as it is known.
    pub author: String,
    /// When, on the clock of the process.
    pub at_ms: i64,
    /// The position of the log of each writer that was asked: records before it are masked, and
    /// none is on both sides.
    pub positions: BTreeMap<WriterId, u64>,
}

/// The form in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    id: Ulid,
    selectors: Vec<Vec<WireMatcher>>,
    /// The first and the last time, both inclusive. `None`: since ever, or for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    author: String,
    at_ms: i64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    positions: BTreeMap<WriterId, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireMatcher {
    name: String,
    op: WireOp,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum WireOp {
    #[serde(rename = "=")]
    Equal,
    #[serde(rename = "!=")]
    NotEqual,
    #[serde(rename = "=~")]
    Regex,
    #[serde(rename = "!~")]
    NotRegex,
}

impl From<&Matcher> for WireMatcher {
    fn from(matcher: &Matcher) -> Self {
        let (op, value) = match &matcher.op {
            MatchOp::Equal(value) => (WireOp::Equal, value.as_str()),
            MatchOp::NotEqual(value) => (WireOp::NotEqual, value.as_str()),
            MatchOp::Regex(pattern) => (WireOp::Regex, pattern.pattern()),
            MatchOp::NotRegex(pattern) => (WireOp::NotRegex, pattern.pattern()),
        };

        Self {
            name: matcher.name.clone(),
            op,
            value: value.to_owned(),
        }
    }
}

impl TryFrom<WireMatcher> for Matcher {
    type Error = String;

    fn try_from(wire: WireMatcher) -> Result<Self, String> {
        let WireMatcher { name, op, value } = wire;
        let fault = |error: duramen_model::regex::Error| error.to_string();

        match op {
            WireOp::Equal => Ok(Self::equal(name, value)),
            WireOp::NotEqual => Ok(Self::not_equal(name, value)),
            WireOp::Regex => Self::regex(name, &value).map_err(fault),
            WireOp::NotRegex => Self::not_regex(name, &value).map_err(fault),
        }
    }
}

impl TryFrom<Wire> for AskedDeletion {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, String> {
        let selector = |matchers: Vec<WireMatcher>| {
            let matchers = matchers.into_iter().map(Matcher::try_from);
            matchers.collect::<Result<Vec<_>, String>>()
        };

        let selectors = wire.selectors.into_iter().map(selector);
        let from_ms = wire.from_ms.unwrap_or(i64::MIN);
        let to_ms = wire.to_ms.unwrap_or(i64::MAX);
        let value = wire.value.map(|text| {
            ValueTest::parse(&text).ok_or_else(|| "the test of values is none".to_owned())
        });

        let deletion = Deletion {
            selectors: selectors.collect::<Result<_, String>>()?,
            range: TimeRange::closed(from_ms, to_ms).ok_or("the last time is before the first")?,
            value: value.transpose()?,
        };

        Ok(Self {
            id: wire.id,
            deletion: Arc::new(deletion),
            author: wire.author,
            at_ms: wire.at_ms,
            positions: wire.positions,
        })
    }
}

impl From<AskedDeletion> for Wire {
    fn from(asked: AskedDeletion) -> Self {
        let deletion = &*asked.deletion;
        let selectors = deletion.selectors.iter();
        let range = deletion.range;
        let is_open = range.end_ms() == i64::MAX;

        Self {
            id: asked.id,
            selectors: selectors
                .map(|matchers| matchers.iter().map(WireMatcher::from).collect())
                .collect(),
            from_ms: (range.start_ms() > i64::MIN).then_some(range.start_ms()),
            to_ms: (!is_open).then_some(range.last_ms()),
            value: deletion.value.map(|test| test.to_string()),
            author: asked.author.clone(),
            at_ms: asked.at_ms,
            positions: asked.positions,
        }
    }
}
