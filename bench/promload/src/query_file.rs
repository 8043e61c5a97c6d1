//! The file of queries.
//!
//! A line is `name ; kind ; window ; step ; expression`; `#` begins a comment line. The kind is
//! `instant`, `range`, `labels`, `values:LABEL` or `series`. The window `1h` ends at the end of the
//! data, `1h@6h` six hours before that. In the expression `$E` and `$S` are the end and the start
//! of the data in whole seconds.

use anyhow::{Context, Result, bail};

use crate::duration::parse_ms;
use crate::http::encode;

/// Steps are no shorter than this.
const STEP_MS_MIN: i64 = 1000;

/// The time that the data covers, both ends inclusive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
}

/// A query, ready to ask.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) name: String,
    /// Path and query string below the address of the server.
    pub(crate) path: String,
}

/// Which queries to take from which file.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) file: String,
    pub(crate) span: Span,
    /// Only queries whose name contains this.
    pub(crate) only: Option<String>,
    /// Added to each query string as it is.
    pub(crate) extra: String,
}

impl Selection {
    pub(crate) fn load(&self) -> Result<Vec<Query>> {
        let text = std::fs::read_to_string(&self.file)
            .with_context(|| format!("read queries. path=`{}`", self.file))?;
        let mut queries = vec![];

        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }

            let mut query = parse_line(line, self.span).with_context(|| {
                format!("bad query. path=`{}`, line=`{}`", self.file, number + 1)
            })?;
            if self
                .only
                .as_ref()
                .is_none_or(|only| query.name.contains(only))
            {
                query.path += &self.extra;
                queries.push(query);
            }
        }

        Ok(queries)
    }
}

fn seconds(ms: i64) -> String {
    (ms as f64 / 1e3).to_string()
}

fn parse_line(line: &str, span: Span) -> Result<Query> {
    let fields: Vec<&str> = line.splitn(5, ';').map(str::trim).collect();
    let [name, kind, window, step, expression] = fields[..] else {
        bail!("five fields are needed")
    };
    let (window, back) = window.split_once('@').unwrap_or((window, "0s"));
    let step_ms = parse_ms(step)?.max(STEP_MS_MIN);
    let end_ms = span.end_ms.saturating_sub(parse_ms(back)?) / step_ms * step_ms;
    let start_ms = end_ms.saturating_sub(parse_ms(window)? / step_ms * step_ms);
    let expression = expression
        .replace("$E", &seconds(span.end_ms / 1000 * 1000))
        .replace("$S", &seconds(span.start_ms / 1000 * 1000));
    let path = path(kind, &encode(&expression), start_ms, end_ms, step_ms)?;

    Ok(Query {
        name: name.to_owned(),
        path,
    })
}

fn path(kind: &str, expression: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Result<String> {
    let start = seconds(start_ms);
    let end = seconds(end_ms);
    let step = seconds(step_ms);
    let span = format!("start={start}&end={end}");

    let matcher = if expression.is_empty() {
        String::new()
    } else {
        format!("&match[]={expression}")
    };

    Ok(match (kind, kind.split_once(':')) {
        ("instant", _) => format!("/api/v1/query?query={expression}&time={end}"),
        ("range", _) => format!("/api/v1/query_range?query={expression}&{span}&step={step}"),
        ("labels", _) => format!("/api/v1/labels?{span}{matcher}"),
        ("series", _) => format!("/api/v1/series?{span}{matcher}"),
        (_, Some(("values", label))) => format!("/api/v1/label/{label}/values?{span}{matcher}"),
        _ => bail!("unknown kind. kind=`{kind}`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Span = Span {
        start_ms: 1_000_500,
        end_ms: 100_000_500,
    };

    #[test]
    fn a_line_becomes_a_request() {
        let cases = [
            (
                "a ; instant ; 0s ; 15s ; up @ $E",
                "/api/v1/query?query=up%20%40%20100000&time=99990",
            ),
            (
                "a ; range ; 1h@1h ; 1m ; up;x",
                "/api/v1/query_range?query=up%3Bx&start=92760&end=96360&step=60",
            ),
            (
                "a ; labels ; 1h ; 15s ;",
                "/api/v1/labels?start=96390&end=99990",
            ),
            (
                "a ; values:pod ; 1h ; 15s ; up",
                "/api/v1/label/pod/values?start=96390&end=99990&match[]=up",
            ),
            (
                "a ; series ; 1h ; 15s ; up",
                "/api/v1/series?start=96390&end=99990&match[]=up",
            ),
        ];

        for (line, path) in cases {
            assert_eq!(parse_line(line, SPAN).unwrap().path, path, "{line}");
        }
    }

    #[test]
    fn bad_lines_are_refused() {
        for line in [
            "a ; instant ; 0s ; 15s",
            "a ; instant ; 0y ; 15s ; up",
            "a ; graph ; 0s ; 15s ; up",
        ] {
            assert!(parse_line(line, SPAN).is_err(), "{line}");
        }
    }
}
