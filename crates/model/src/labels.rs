//! Label sets. Each is one buffer.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

use crate::SeriesId;
use crate::quoted::quote;

/// The label that carries the metric name.
pub const METRIC_NAME: &str = "__name__";

/// The longest metric name. A manifest has the first and the last name of each block, so a limit of
/// label values that a person sets does not raise this one.
pub const METRIC_NAME_BYTES_MAX: usize = 8 << 10;

/// The labels that carry a metric's type and its unit, if a sender or a setting keeps them in
/// labels.
pub const METRIC_TYPE: &str = "__type__";
pub const METRIC_UNIT: &str = "__unit__";

/// A sorted label set: unique names in ascending byte order, no empty name, no empty value.
///
/// The set is one buffer, its *encoded* form: for each label the name and then the value, each as
/// its length in bytes (LEB128) followed by the bytes (UTF-8). The series id is the hash of that
/// buffer. A clone is cheap.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels {
    encoded: Arc<[u8]>,
}

impl Labels {
    /// The set without labels.
    pub fn empty() -> Self {
        Self {
            encoded: Arc::from([].as_slice()),
        }
    }

    /// Sorts `pairs` and drops those with an empty value, which mean the same as no label. Returns
    /// `None` when a name is empty or occurs twice.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        let mut pairs: Vec<_> = pairs
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect();

        pairs.sort_unstable_by_key(|(name, _)| *name);

        let distinct = pairs.windows(2).all(|two| two[0].0 != two[1].0);
        let named = pairs.first().is_none_or(|(name, _)| !name.is_empty());

        (distinct && named).then(|| {
            let mut builder = LabelsBuilder::default();
            for (name, value) in pairs {
                builder.push(name, value);
            }

            builder.finish()
        })
    }

    /// Takes an encoded form after checking it: bounds, UTF-8, order, no empty name or value.
    /// Returns `None` when a check fails.
    pub fn from_encoded(encoded: &[u8]) -> Option<Self> {
        let mut previous: Option<&str> = None;
        let mut rest = encoded;

        while !rest.is_empty() {
            let name = take_str(&mut rest)?;
            let value = take_str(&mut rest)?;

            if name.is_empty() || value.is_empty() || previous.is_some_and(|p| p >= name) {
                return None;
            }

            previous = Some(name);
        }

        Some(Self {
            encoded: Arc::from(encoded),
        })
    }

    /// Takes an encoded form that came from [`Labels::encoded`] in this process, unchecked.
    ///
    /// Reading labels from bytes that are not an encoded form panics or gives wrong labels, but is
    /// memory-safe.
    pub fn from_encoded_trusted(encoded: &[u8]) -> Self {
        Self {
            encoded: Arc::from(encoded),
        }
    }

    /// The encoded form.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// The labels in name order.
    pub fn iter(&self) -> LabelsIter<'_> {
        LabelsIter {
            rest: &self.encoded,
        }
    }

    /// The value of the label `name`; `None` when the set has no such label. PromQL treats that
    /// like the value "".
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find_map(|(n, value)| (n == name).then_some(value))
    }

    /// The value of `__name__`, or "" when the set has none.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    pub fn is_empty(&self) -> bool {
        self.encoded.is_empty()
    }

    /// How many labels the set has.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// xxh3-128 over the encoded form.
    pub fn series_id(&self) -> SeriesId {
        SeriesId(xxh3_128(&self.encoded))
    }

    /// The order of series in a block and in every stream between storage and query. It compares
    /// `__name__`, then the other (name, value) pairs in name order, byte by byte. A set that is a
    /// prefix of the other comes first.
    pub fn cmp_in_block(&self, other: &Self) -> Ordering {
        cmp_encoded_in_block(&self.encoded, &other.encoded)
    }
}

/// [`Labels::cmp_in_block`] on encoded forms.
pub fn cmp_encoded_in_block(a: &[u8], b: &[u8]) -> Ordering {
    let is_name = |label: &EncodedLabel<'_>| label.name == METRIC_NAME.as_bytes();
    let metric = |encoded| {
        EncodedLabels::over(encoded)
            .find(is_name)
            .map(|label| label.value)
    };

    metric(a).cmp(&metric(b)).then_with(|| {
        let others = |encoded| {
            EncodedLabels::over(encoded)
                .filter(|label| !is_name(label))
                .map(|label| (label.name, label.value))
        };

        others(a).cmp(others(b))
    })
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The order of series in an answer, as in Prometheus: by (name, value) pairs in name order.
/// `__name__` has no special place.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        let bytes = |labels| EncodedLabels::over(labels).map(|label| (label.name, label.value));

        // Strings have the order of their bytes.
        bytes(self.encoded()).cmp(bytes(other.encoded()))
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = LabelsIter<'a>;

    fn into_iter(self) -> LabelsIter<'a> {
        self.iter()
    }
}

/// `{__name__="up", job="node"}`
impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;

        for (i, (name, value)) in self.iter().enumerate() {
            write!(
                f,
                "{}{name}={}",
                if i == 0 { "" } else { ", " },
                quote(value)
            )?;
        }

        f.write_str("}")
    }
}

/// Prints a series as Prometheus does: `up{job="node"}`, `{job="node"}` without a name, `{}`
/// without labels.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        f.write_str(name)?;

        let mut others = self.iter().filter(|(n, _)| *n != METRIC_NAME).peekable();
        if others.peek().is_none() && !name.is_empty() {
            return Ok(());
        }

        f.write_str("{")?;

        for (i, (name, value)) in others.enumerate() {
            write!(
                f,
                "{}{name}={}",
                if i == 0 { "" } else { ", " },
                quote(value)
            )?;
        }

        f.write_str("}")
    }
}

/// Iterates over the labels of an encoded form in their order.
#[derive(Clone, Debug)]
pub struct LabelsIter<'a> {
    rest: &'a [u8],
}

impl<'a> LabelsIter<'a> {
    /// Walks an encoded form that came from [`Labels::encoded`].
    pub const fn over(encoded: &'a [u8]) -> Self {
        Self { rest: encoded }
    }
}

impl<'a> Iterator for LabelsIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }

        let name = take_str(&mut self.rest).expect("an encoded label set is well formed");
        let value = take_str(&mut self.rest).expect("an encoded label set is well formed");
        Some((name, value))
    }
}

/// Iterates over the labels of an encoded form in their order, as bytes. For callers that only
/// compare and copy them.
#[derive(Clone, Debug)]
pub struct EncodedLabels<'a> {
    rest: &'a [u8],
}

/// One label; both parts are UTF-8.
#[derive(Clone, Copy, Debug)]
pub struct EncodedLabel<'a> {
    pub name: &'a [u8],
    pub value: &'a [u8],
    /// Name and value in encoded form.
    encoded: &'a [u8],
}

impl<'a> EncodedLabels<'a> {
    /// Walks an encoded form that came from [`Labels::encoded`].
    pub const fn over(encoded: &'a [u8]) -> Self {
        Self { rest: encoded }
    }
}

impl<'a> Iterator for EncodedLabels<'a> {
    type Item = EncodedLabel<'a>;

    fn next(&mut self) -> Option<EncodedLabel<'a>> {
        if self.rest.is_empty() {
            return None;
        }

        let start = self.rest;
        let name = take_bytes(&mut self.rest).expect("an encoded label set is well formed");
        let value = take_bytes(&mut self.rest).expect("an encoded label set is well formed");

        Some(EncodedLabel {
            name,
            value,
            encoded: &start[..start.len() - self.rest.len()],
        })
    }
}

/// Builds a label set from labels that come in name order.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    encoded: Vec<u8>,
}

impl LabelsBuilder {
    /// Appends a label. The caller keeps the invariant: names ascend strictly, and neither name nor
    /// value is empty.
    pub fn push(&mut self, name: &str, value: &str) {
        debug_assert!(!name.is_empty() && !value.is_empty());

        put_str(&mut self.encoded, name);
        put_str(&mut self.encoded, value);
    }

    /// Like [`LabelsBuilder::push`], with a label of another set.
    pub fn push_encoded(&mut self, label: EncodedLabel<'_>) {
        self.encoded.extend_from_slice(label.encoded);
    }

    /// Empties the builder and keeps its memory.
    pub fn clear(&mut self) {
        self.encoded.clear();
    }

    /// The encoded form of the labels that were pushed so far.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    pub fn finish(&self) -> Labels {
        Labels {
            encoded: Arc::from(self.encoded.as_slice()),
        }
    }
}

fn put_str(out: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    while length >= 0x80 {
        out.push(length.to_le_bytes()[0] | 0x80);
        length >>= 7;
    }

    out.push(length.to_le_bytes()[0]);
    out.extend_from_slice(text.as_bytes());
}

/// Takes the next length-prefixed text. Returns `None` when the bytes end too early, the length
/// overflows, or the text is not UTF-8.
fn take_str<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(take_bytes(rest)?).ok()
}

/// Takes the bytes of the next length-prefixed text. Returns `None` when there are too few, or the
/// length overflows.
#[inline]
fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut length = 0usize;

    for shift in (0..35).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        length |= usize::from(byte & 0x7f) << shift;

        if byte < 0x80 {
            let (text, behind) = rest.split_at_checked(length)?;
            *rest = behind;
            return Some(text);
        }
    }

    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn labels_are_sorted_and_empty_values_are_no_labels() {
        let set = labels(&[("job", "node"), ("a", ""), ("__name__", "up")]);
        assert_eq!(
            set.iter().collect::<Vec<_>>(),
            [("__name__", "up"), ("job", "node")]
        );

        assert_eq!(set.to_string(), "up{job=\"node\"}");
    }

    #[test]
    fn a_repeated_or_empty_name_is_refused() {
        assert!(Labels::from_pairs([("a", "1"), ("a", "2")]).is_none());
        assert!(Labels::from_pairs([("", "1")]).is_none());
    }

    #[test]
    fn an_encoded_form_survives_the_round_trip_and_its_damage_is_seen() {
        let long = "v".repeat(300);
        let set = labels(&[("__name__", "up"), ("x", &long), ("nul", "\0")]);

        assert_eq!(Labels::from_encoded(set.encoded()).unwrap(), set);

        for cut in 1..set.encoded().len() {
            let short = Labels::from_encoded(&set.encoded()[..cut]);
            assert!(short.is_none_or(|s| s.len() < set.len()), "{cut}");
        }
    }

    #[test]
    fn the_order_in_a_block_puts_the_name_first() {
        let a = labels(&[("Z", "9"), ("__name__", "a")]);
        let b = labels(&[("A", "1"), ("__name__", "b")]);

        assert_eq!(a.cmp_in_block(&b), Ordering::Less);
        assert_eq!(a.cmp(&b), Ordering::Greater);
    }

    #[test]
    fn the_series_id_is_a_fixed_function_of_the_labels() {
        let set = labels(&[("__name__", "up"), ("job", "node")]);
        assert_eq!(
            format!("{:032x}", set.series_id().0),
            format!("{:032x}", xxh3_128(b"\x08__name__\x02up\x03job\x04node"))
        );
    }
}
