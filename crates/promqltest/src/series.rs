//! Splits a series line into labels and values.

use duramen_model::Labels;
use duramen_syntax::ast::MatchOp;

/// Returns the labels of a series line and the rest of the line.
pub(crate) fn split(line: &str) -> Result<(Labels, &str), String> {
    let (selector, rest) = line.split_at(selector_end(line)?);
    Ok((labels(selector)?, rest))
}

/// Does the same as [`split`] if the selector ends with `mark` or is followed by it. Otherwise
/// returns `None`.
pub(crate) fn split_marked<'a>(
    line: &'a str,
    mark: &str,
) -> Result<Option<(Labels, &'a str)>, String> {
    let (selector, rest) = line.split_at(selector_end(line)?);
    let (selector, rest) = match (selector.strip_suffix(mark), rest.strip_prefix(mark)) {
        (Some(selector), _) => (selector, rest),
        (None, Some(rest)) => (selector, rest),
        (None, None) => return Ok(None),
    };

    Ok(Some((labels(selector)?, rest)))
}

fn labels(selector: &str) -> Result<Labels, String> {
    if selector
        .chars()
        .filter(|c| !c.is_whitespace())
        .eq("{}".chars())
    {
        return Ok(Labels::empty());
    }

    let matchers = duramen_syntax::parse_selector(selector).map_err(|error| error.to_string())?;
    if let Some(other) = matchers.iter().find(|matcher| matcher.op != MatchOp::Equal) {
        return Err(format!(
            "a series has label {:?} equal to something",
            other.name
        ));
    }

    let pairs = matchers
        .iter()
        .map(|matcher| (matcher.name.as_str(), matcher.value.as_str()));
    Labels::from_pairs(pairs).ok_or_else(|| format!("a label stands twice: {selector:?}"))
}

/// Returns the end of the selector: after its braces or, if there are none, after the name. `{{`
/// begins a histogram.
fn selector_end(line: &str) -> Result<usize, String> {
    let name_end = line
        .find(|c: char| c.is_whitespace() || c == '{')
        .unwrap_or(line.len());
    let behind = line[name_end..].trim_start();

    if !behind.starts_with('{') || behind.starts_with("{{") {
        return if name_end == 0 {
            Err(format!("no series: {line:?}"))
        } else {
            Ok(name_end)
        };
    }

    let braces_start = line.len() - behind.len();
    let mut quote = None;
    let mut escaped = false;

    for (at, c) in behind.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some('"' | '\''), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '}') => return Ok(braces_start + at + 1),
            (None, _) => {}
        }
    }

    Err(format!("braces without an end: {line:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_end_where_no_quote_holds_them() {
        for (line, labels, rest) in [
            ("up 1 2", "up", " 1 2"),
            ("up", "up", ""),
            ("up {{sum:1}}", "up", " {{sum:1}}"),
            ("{} {{}}", "{}", " {{}}"),
            (
                "up {a=\"}\\\"\", b='x'} 1",
                "up{a=\"}\\\"\", b=\"x\"}",
                " 1",
            ),
            ("{\"a.b\", c=`\\`}5", "a.b{c=\"\\\\\"}", "5"),
        ] {
            let (got, behind) = split(line).unwrap();
            assert_eq!((got.to_string().as_str(), behind), (labels, rest), "{line}");
        }

        let marked = |line| {
            split_marked(line, "@st")
                .unwrap()
                .map(|(labels, rest)| (labels.to_string(), rest))
        };

        assert_eq!(marked("up@st 1s"), Some(("up".to_owned(), " 1s")));
        assert_eq!(
            marked("up{a=\"@st\"}@st 1s"),
            Some(("up{a=\"@st\"}".to_owned(), " 1s"))
        );

        assert_eq!(marked("up{a=\"@st\"} 1s"), None);

        for line in [
            "",
            "{{}}",
            "up{",
            "up{a=~\"b\"} 1",
            "up{a=\"1\",a=\"2\"}",
            "é",
        ] {
            assert!(split(line).is_err(), "{line}");
        }
    }
}
