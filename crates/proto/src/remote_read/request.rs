//! Decodes the request, within limits.

#![deny(clippy::indexing_slicing)]

use duramen_model::{MatchOp, Matcher, Regexes, TimeRange};

use crate::Error;
use crate::wire::{Fields, Value};

/// The limits of one request.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    pub queries_max: usize,
    /// The matchers of all queries together.
    pub matchers_max: usize,
}

impl Default for ReadLimits {
    /// Prometheus sends one query for each selector of a PromQL query, with the matchers that a
    /// person wrote, so small limits are enough.
    fn default() -> Self {
        Self {
            queries_max: 100,
            matchers_max: 1000,
        }
    }
}

/// A decoded request.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    pub queries: Vec<ReadQuery>,
    /// The first of the accepted forms that we know.
    pub response: ResponseType,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseType {
    /// One message with all samples, as numbers.
    Samples = 0,
    /// A stream of frames with chunks.
    StreamedXorChunks = 1,
}

/// One query of a request.
#[derive(Clone, Debug)]
pub struct ReadQuery {
    /// The time range of the query, narrowed by the range of the hints. `None` when it is empty.
    pub range: Option<TimeRange>,
    /// A series must match all of them. An empty list selects nothing, as in Prometheus; a client
    /// relies on it.
    pub matchers: Vec<Matcher>,
    pub wanted: Wanted,
}

/// Whether a query asks for samples, or for labels alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    #[default]
    Samples,
    /// Only the labels of the series: the hints name the function `series`.
    Series,
}

impl ReadRequest {
    /// Decodes a protobuf body (after snappy). Unknown fields are skipped. The patterns of matchers
    /// are parsed at the end, when the whole body is known to be well-formed and within its limits.
    /// `regexes` limits the patterns. None is compiled.
    pub fn decode(body: &[u8], limits: &ReadLimits, regexes: &Regexes) -> Result<Self, Error> {
        let mut raw = Vec::new();
        let mut matchers = 0;
        let mut accepted = Vec::new();
        let mut fields = Fields::new("ReadRequest", body);

        while let Some((number, value)) = fields.next_field()? {
            match (number, value) {
                (1, Value::Bytes(message)) => {
                    if raw.len() == limits.queries_max {
                        return Err(Error::TooManyReadQueries {
                            max: limits.queries_max,
                        });
                    }

                    let query = RawQuery::decode(message, limits.matchers_max - matchers)
                        .map_err(|error| whole_limit(error, limits))?;
                    matchers += query.matchers.len();
                    raw.push(query);
                }
                // Enum values may be sent one by one or packed.
                (2, Value::Varint(one)) => note(&mut accepted, one),
                (2, Value::Bytes(packed)) => {
                    let mut packed = Fields::new("ReadRequest", packed);
                    while let Some(one) = packed.next_packed()? {
                        note(&mut accepted, one);
                    }
                }
                (1 | 2, _) => return Err(fields.refused("a field has the wrong wire type")),
                _ => {}
            }
        }

        let response = negotiate(&accepted)?;
        let queries = raw
            .into_iter()
            .map(|query| query.read(regexes))
            .collect::<Result<_, _>>()?;

        Ok(Self { queries, response })
    }
}

/// A query as in the message, with unparsed matchers.
#[derive(Debug, Default)]
struct RawQuery<'a> {
    start_ms: i64,
    end_ms: i64,
    matchers: Vec<RawMatcher<'a>>,
    hints: Option<Hints>,
}

#[derive(Debug, Default)]
struct RawMatcher<'a> {
    op: u64,
    name: &'a [u8],
    value: &'a [u8],
}

#[derive(Debug, Default)]
struct Hints {
    start_ms: i64,
    end_ms: i64,
    wanted: Wanted,
}

impl<'a> RawQuery<'a> {
    fn decode(message: &'a [u8], matchers_max: usize) -> Result<Self, Error> {
        let mut query = Self::default();
        let mut fields = Fields::new("Query", message);

        while let Some((number, value)) = fields.next_field()? {
            match (number, value) {
                (1, Value::Varint(ms)) => query.start_ms = ms.cast_signed(),
                (2, Value::Varint(ms)) => query.end_ms = ms.cast_signed(),
                (3, Value::Bytes(matcher)) => {
                    if query.matchers.len() == matchers_max {
                        return Err(Error::TooManyReadMatchers { max: matchers_max });
                    }

                    query.matchers.push(RawMatcher::decode(matcher)?);
                }
                (4, Value::Bytes(hints)) => query.hints = Some(Hints::decode(hints)?),
                (1..=4, _) => return Err(fields.refused("a field has the wrong wire type")),
                _ => {}
            }
        }

        Ok(query)
    }

    fn read(self, regexes: &Regexes) -> Result<ReadQuery, Error> {
        let range = TimeRange::closed(self.start_ms, self.end_ms);
        let (range, wanted) = match self.hints {
            None => (range, Wanted::Samples),
            Some(hints) => (hints.narrow(range), hints.wanted),
        };

        let matchers = self
            .matchers
            .into_iter()
            .map(|matcher| matcher.read(regexes))
            .collect::<Result<_, _>>()?;

        Ok(ReadQuery {
            range,
            matchers,
            wanted,
        })
    }
}

impl Hints {
    fn decode(message: &[u8]) -> Result<Self, Error> {
        let mut hints = Self::default();
        let mut fields = Fields::new("ReadHints", message);

        while let Some((number, value)) = fields.next_field()? {
            match (number, value) {
                (2, Value::Bytes(b"series")) => hints.wanted = Wanted::Series,
                (3, Value::Varint(ms)) => hints.start_ms = ms.cast_signed(),
                (4, Value::Varint(ms)) => hints.end_ms = ms.cast_signed(),
                (3 | 4, _) => return Err(fields.refused("a field has the wrong wire type")),
                _ => {}
            }
        }

        Ok(hints)
    }

    /// The part of `range` that the client will use. The PromQL query of the client may have
    /// several selectors, and each remote-read query asks for the range of all of them; the hints
    /// have the range of its own selector. Hints without times do not narrow the range.
    fn narrow(&self, range: Option<TimeRange>) -> Option<TimeRange> {
        if self.start_ms == 0 && self.end_ms == 0 {
            return range;
        }

        range?.intersect(TimeRange::closed(self.start_ms, self.end_ms)?)
    }
}

impl<'a> RawMatcher<'a> {
    fn decode(message: &'a [u8]) -> Result<Self, Error> {
        let mut matcher = Self::default();
        let mut fields = Fields::new("LabelMatcher", message);

        while let Some((number, value)) = fields.next_field()? {
            match (number, value) {
                (1, Value::Varint(op)) => matcher.op = op,
                (2, Value::Bytes(name)) => matcher.name = name,
                (3, Value::Bytes(value)) => matcher.value = value,
                (1..=3, _) => return Err(fields.refused("a field has the wrong wire type")),
                _ => {}
            }
        }

        Ok(matcher)
    }

    fn read(self, regexes: &Regexes) -> Result<Matcher, Error> {
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Error::MatcherNotText);
        let name = text(self.name)?;
        let value = text(self.value)?;
        let bad_pattern = |error: duramen_model::regex::Error| Error::MatcherPattern {
            label: name.to_owned(),
            reason: error.to_string(),
        };

        match self.op {
            0 => Ok(Matcher::equal(name, value)),
            1 => Ok(Matcher::not_equal(name, value)),
            2 => Ok(Matcher::of(
                name,
                MatchOp::Regex(regexes.read(value).map_err(bad_pattern)?),
            )),
            3 => Ok(Matcher::of(
                name,
                MatchOp::NotRegex(regexes.read(value).map_err(bad_pattern)?),
            )),
            other => Err(Error::MatcherType { number: other }),
        }
    }
}

/// Replaces the remaining limit, which is all that a query knows, by the whole limit, which the
/// caller knows.
fn whole_limit(error: Error, limits: &ReadLimits) -> Error {
    match error {
        Error::TooManyReadMatchers { .. } => Error::TooManyReadMatchers {
            max: limits.matchers_max,
        },
        other => other,
    }
}

/// How many of the accepted forms are read. Only two forms exist.
const ACCEPTED_MAX: usize = 16;

fn note(accepted: &mut Vec<u64>, one: u64) {
    if accepted.len() < ACCEPTED_MAX {
        accepted.push(one);
    }
}

/// The first form that we know. An empty list comes from an old client that had no choice.
fn negotiate(accepted: &[u64]) -> Result<ResponseType, Error> {
    let known = |number: &u64| match number {
        0 => Some(ResponseType::Samples),
        1 => Some(ResponseType::StreamedXorChunks),
        _ => None,
    };

    match accepted {
        [] => Ok(ResponseType::Samples),
        some => some
            .iter()
            .find_map(known)
            .ok_or_else(|| Error::NoResponseType {
                asked: some.to_vec(),
            }),
    }
}

#[cfg(test)]
mod tests;
