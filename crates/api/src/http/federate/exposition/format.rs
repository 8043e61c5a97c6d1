//! The form that a scraper asks for.

use super::escaping::Escaping;

/// A form of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text(Escaping),
    /// Messages, each after its length.
    Protobuf(Escaping),
}

impl Format {
    /// Returns the form that an `Accept` header asks for: the first clause, in the order of `q`,
    /// that fits one of ours, and text if none fits. The escaping is the last one that is named, up
    /// to that clause.
    pub(crate) fn accepted(accept: &str) -> Self {
        let mut clauses: Vec<Clause<'_>> = accept.split(',').map(Clause::of).collect();
        clauses.sort_by(|a, b| b.quality.total_cmp(&a.quality));

        let mut escaping = Escaping::Underscores;

        for clause in clauses {
            escaping = clause
                .parameter("escaping")
                .and_then(Escaping::named)
                .unwrap_or(escaping);

            if clause.is_protobuf() {
                return Self::Protobuf(escaping);
            }

            if clause.media == "text/plain"
                && matches!(clause.parameter("version"), None | Some("0.0.4"))
            {
                break;
            }
        }

        Self::Text(escaping)
    }

    pub(crate) fn content_type(self) -> String {
        match self {
            Self::Text(escaping) => format!(
                "text/plain; version=0.0.4; charset=utf-8; escaping={}",
                escaping.name()
            ),
            Self::Protobuf(escaping) => {
                let message = "proto=io.prometheus.client.MetricFamily; encoding=delimited";
                format!(
                    "application/vnd.google.protobuf; {message}; escaping={}",
                    escaping.name()
                )
            }
        }
    }
}

/// One clause of an `Accept` header.
struct Clause<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f64,
}

impl<'a> Clause<'a> {
    fn of(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().unwrap_or("");
        let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();

        let mut clause = Self {
            media,
            parameters,
            quality: 1.0,
        };

        clause.quality = clause
            .parameter("q")
            .map_or(1.0, |quality| quality.parse().unwrap_or(0.0));
        clause
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| value.trim_matches('"'))
    }

    fn is_protobuf(&self) -> bool {
        self.media == "application/vnd.google.protobuf"
            && self.parameter("proto") == Some("io.prometheus.client.MetricFamily")
            && self.parameter("encoding") == Some("delimited")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_header_says_which_form_and_how_names_are_escaped() {
        let text = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let messages = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

        for (accept, expected) in [
            ("", Format::Text(Escaping::Underscores)),
            ("*/*", Format::Text(Escaping::Underscores)),
            (text, Format::Text(Escaping::AllowUtf8)),
            (
                "text/plain; version=0.0.4; escaping=values",
                Format::Text(Escaping::Values),
            ),
            (
                "text/plain;escaping=nonsense",
                Format::Text(Escaping::Underscores),
            ),
            (
                "text/plain,text/html;escaping=dots",
                Format::Text(Escaping::Underscores),
            ),
            (messages, Format::Protobuf(Escaping::Underscores)),
            (
                &format!("{messages};escaping=dots;q=0.7,{text}"),
                Format::Protobuf(Escaping::Dots),
            ),
            (
                &format!("{text},{messages};q=0.7"),
                Format::Protobuf(Escaping::Underscores),
            ),
            (
                &format!("{text},{messages};q=0.1"),
                Format::Text(Escaping::AllowUtf8),
            ),
            (
                "application/vnd.google.protobuf;encoding=text",
                Format::Text(Escaping::Underscores),
            ),
        ] {
            assert_eq!(Format::accepted(accept), expected, "{accept}");
        }
    }
}
