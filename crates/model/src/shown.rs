//! Text from outside, made fit for an error message: on one line, of bounded length, and without
//! backticks, because the message puts backticks around it.
//!
//! Invalid UTF-8 and characters that cannot be printed are escaped, so that a person can tell them
//! apart in a log.

use std::fmt::{self, Write as _};

use crate::{Labels, METRIC_NAME};

/// How much of one name or value is shown at most, in bytes before escaping.
const TEXT_BYTES_MAX: usize = 200;
/// Labels are shown until the text of a series is this long.
const SERIES_BYTES_MAX: usize = 512;

/// A name, a value, or another piece of text.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        put_bounded(f, self.0, Around::Backticks)
    }
}

/// A series as Prometheus prints it, such as `up{job="node"}`. The metric name is shown even if
/// many labels came before it.
///
/// Labels are pushed in the order in which they were sent. They need not be valid, sorted or
/// distinct.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShownSeries {
    name: Option<String>,
    /// The other labels, with commas between them.
    labels: String,
    /// Whether labels were left out.
    is_cut: bool,
}

impl ShownSeries {
    pub fn of(labels: &Labels) -> Self {
        let mut shown = Self::default();
        for (name, value) in labels {
            shown.push(name.as_bytes(), value.as_bytes());
        }

        shown
    }

    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        if name == METRIC_NAME.as_bytes() && self.name.is_none() {
            self.name = Some(Shown(value).to_string());
            return;
        }

        if self.labels.len() >= SERIES_BYTES_MAX {
            self.is_cut = true;
            return;
        }

        let comma = if self.labels.is_empty() { "" } else { ", " };
        let written = write!(
            self.labels,
            "{comma}{}=\"{}\"",
            Shown(name),
            InQuotes(value)
        );

        written.expect("a String takes every write");
    }
}

impl fmt::Display for ShownSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or_default();
        f.write_str(name)?;

        if self.labels.is_empty() && !name.is_empty() {
            return Ok(());
        }

        let rest = if self.is_cut { ", ..." } else { "" };
        write!(f, "{{{}{rest}}}", self.labels)
    }
}

/// A value between double quotes.
struct InQuotes<'a>(&'a [u8]);

impl fmt::Display for InQuotes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        put_bounded(f, self.0, Around::Quotes)
    }
}

/// The quotes around a text, beside the backticks of the error message.
#[derive(Clone, Copy, PartialEq)]
enum Around {
    Backticks,
    Quotes,
}

fn put_bounded(f: &mut fmt::Formatter<'_>, bytes: &[u8], around: Around) -> fmt::Result {
    let (shown, is_cut) = match bytes.get(..TEXT_BYTES_MAX) {
        Some(start) if bytes.len() > TEXT_BYTES_MAX => (whole_characters(start, bytes), true),
        _ => (bytes, false),
    };

    for chunk in shown.utf8_chunks() {
        for character in chunk.valid().chars() {
            put_character(f, character, around)?;
        }

        for byte in chunk.invalid() {
            write!(f, "\\x{byte:02x}")?;
        }
    }

    if is_cut { f.write_str("...") } else { Ok(()) }
}

/// `start` without a character that the cut went through.
fn whole_characters<'a>(start: &'a [u8], bytes: &[u8]) -> &'a [u8] {
    let is_inside = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);

    // A character has at most four bytes. A longer run of continuation bytes is not UTF-8, and may
    // be cut anywhere.
    let end = (0..4)
        .map(|back| start.len() - back)
        .find(|at| !is_inside(*at));
    end.map_or(start, |end| &start[..end])
}

fn put_character(f: &mut fmt::Formatter<'_>, character: char, around: Around) -> fmt::Result {
    match character {
        '`' => f.write_str("\\x60"),
        '"' | '\\' if around == Around::Quotes => write!(f, "\\{character}"),
        // `escape_debug` would escape quotes, which are printed as they are.
        '"' | '\'' => f.write_char(character),
        '\\' => f.write_str("\\\\"),
        _ => write!(f, "{}", character.escape_debug()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_on_one_line_and_has_no_backticks() {
        for (bytes, expected) in [
            (&b""[..], ""),
            (b"plain text", "plain text"),
            (b"a`b\"c'd\\e", "a\\x60b\"c'd\\\\e"),
            (b"line\nfeed\0", "line\\nfeed\\0"),
            ("größe".as_bytes(), "größe"),
            (b"a\xffb\xc3", "a\\xffb\\xc3"),
        ] {
            assert_eq!(Shown(bytes).to_string(), expected);
        }
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let long = "ä".repeat(150);
        assert_eq!(
            Shown(long.as_bytes()).to_string(),
            format!("{}...", "ä".repeat(100))
        );

        let odd = format!("x{long}");
        assert_eq!(
            Shown(odd.as_bytes()).to_string(),
            format!("x{}...", "ä".repeat(99))
        );

        assert_eq!(
            Shown(&[0x80; 300]).to_string(),
            format!("{}...", "\\x80".repeat(200))
        );

        assert_eq!(Shown(&[b'x'; 200]).to_string(), "x".repeat(200));
    }

    fn series(labels: &[(&[u8], &[u8])]) -> String {
        let mut shown = ShownSeries::default();
        for (name, value) in labels {
            shown.push(name, value);
        }

        shown.to_string()
    }

    #[test]
    fn a_series_is_shown_as_prometheus_prints_it() {
        assert_eq!(series(&[]), "{}");
        assert_eq!(series(&[(b"__name__", b"up")]), "up");
        assert_eq!(
            series(&[(b"a", b"1"), (b"__name__", b"up"), (b"b", b"")]),
            r#"up{a="1", b=""}"#
        );

        assert_eq!(series(&[(b"a", b"1\"\\`\xff")]), r#"{a="1\"\\\x60\xff"}"#);
        assert_eq!(
            series(&[(b"__name__", b"m"), (b"__name__", b"n")]),
            r#"m{__name__="n"}"#
        );

        assert_eq!(
            ShownSeries::of(&Labels::from_pairs([("__name__", "m"), ("x", "y")]).unwrap())
                .to_string(),
            r#"m{x="y"}"#
        );
    }

    #[test]
    fn the_name_of_a_long_series_is_shown_all_the_same() {
        let value = [b'v'; 3_000];
        let mut labels: Vec<(&[u8], &[u8])> = vec![(b"label", &value); 1_000];
        labels.push((b"__name__", b"found"));

        let text = series(&labels);
        assert!(text.starts_with("found{label=\"vvv"), "{text}");
        assert!(text.ends_with(", ...}"), "{text}");
        assert!(text.len() < 1_024, "{}", text.len());
    }
}
