//! What a data file says about itself.

use anyhow::{Context, Result};

/// The first line of a `.rw` or `.col` file, padded to [`Header::LEN`] bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Header {
    /// Earliest timestamp, inclusive.
    pub(crate) start_ms: i64,
    /// Latest timestamp, inclusive.
    pub(crate) end_ms: i64,
    pub(crate) interval_ms: i64,
    pub(crate) series: u64,
    pub(crate) samples: u64,
    /// Records of a `.rw` file; 0 in a `.col` file.
    pub(crate) requests: u64,
    /// Bytes of the write requests before compression; 0 in a `.col` file.
    pub(crate) proto_bytes: u64,
    /// Where the data comes from.
    pub(crate) note: String,
}

impl Header {
    pub(crate) const LEN: usize = 512;
    /// A longer note is cut, so that the line always fits: the other fields take less than 240
    /// bytes, and a character at most 6 when it is escaped.
    const NOTE_CHARS_MAX: usize = 40;

    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "format": "promload-rw-1",
            "start": self.start_ms,
            "end": self.end_ms,
            "interval": self.interval_ms,
            "series": self.series,
            "samples": self.samples,
            "requests": self.requests,
            "proto_bytes": self.proto_bytes,
            "note": self.note,
        })
    }

    /// Exactly [`Self::LEN`] bytes: JSON, blanks, a line feed.
    pub(crate) fn to_line(&self) -> Vec<u8> {
        let mut line = self.to_json().to_string();

        if line.len() >= Self::LEN {
            let short = Self {
                note: self.note.chars().take(Self::NOTE_CHARS_MAX).collect(),
                ..self.clone()
            };

            line = short.to_json().to_string();
        }

        let mut line = line.into_bytes();
        line.resize(Self::LEN - 1, b' ');
        line.push(b'\n');

        line
    }

    pub(crate) fn parse(line: &[u8]) -> Result<Self> {
        let json: serde_json::Value =
            serde_json::from_slice(line).context("the file has no header of promload")?;
        let signed = |key: &str| {
            json[key]
                .as_i64()
                .with_context(|| format!("header without a number. key=`{key}`"))
        };

        let count = |key: &str| {
            json[key]
                .as_u64()
                .with_context(|| format!("header without a count. key=`{key}`"))
        };

        Ok(Self {
            start_ms: signed("start")?,
            end_ms: signed("end")?,
            interval_ms: signed("interval")?,
            series: count("series")?,
            samples: count("samples")?,
            requests: count("requests")?,
            proto_bytes: count("proto_bytes")?,
            note: json["note"].as_str().unwrap_or_default().to_owned(),
        })
    }

    /// Bytes of the write requests per sample, before compression.
    pub(crate) fn raw_bytes_per_sample(&self) -> f64 {
        self.proto_bytes as f64 / self.samples as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_back_whatever_the_note() {
        for note in ["", "gen seed 1", &"\u{1}".repeat(500), &"ä".repeat(400)] {
            let header = Header {
                start_ms: -5,
                end_ms: i64::MAX,
                proto_bytes: u64::MAX,
                note: note.into(),
                ..Header::default()
            };

            let line = header.to_line();
            assert_eq!(line.len(), Header::LEN);

            let back = Header::parse(&line).unwrap();
            assert_eq!(
                (back.start_ms, back.end_ms, back.proto_bytes),
                (-5, i64::MAX, u64::MAX)
            );

            assert!(note.starts_with(&back.note));
        }
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        assert!(Header::parse(b"hello").is_err());
        assert!(Header::parse(b"{\"start\":1}").is_err());
    }
}
