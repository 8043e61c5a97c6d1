//! Finds names, labels and quoted texts in a line. Pure.

use std::borrow::Cow;

/// Labels as they are read.
pub(super) type Pairs = Vec<(String, String)>;

/// Returns where the name and the labels of a sample end.
pub(super) fn series_end(line: &[u8]) -> Option<usize> {
    let start = line.iter().position(|byte| matches!(byte, b'{' | b' '))?;
    if line.get(start) == Some(&b' ') {
        return Some(start);
    }

    let mut at = start + 1;

    loop {
        match line.get(at)? {
            b'}' => return Some(at + 1),
            b'"' => at += quote_end(line.get(at + 1..)?)? + 2,
            _ => at += 1,
        }
    }
}

/// Returns where the quote is that ends a text, which begins behind a quote.
pub(super) fn quote_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;

    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Reads `{"name",a="b"}`: the quoted name, if there is one, and the labels.
pub(super) fn pairs(text: &str) -> Option<(Option<String>, Pairs)> {
    let mut rest = text.strip_prefix('{')?.strip_suffix('}')?.trim();
    let mut metric = None;
    let mut all = Vec::new();

    while !rest.is_empty() {
        let (name, behind) = match rest.strip_prefix('"') {
            Some(quoted) => take_quoted(quoted)?,
            None => {
                let end = rest.find(['=', ',', ' '])?;
                let (name, behind) = rest.split_at(end);
                (Cow::Borrowed(name), behind)
            }
        };

        rest = behind.trim_start();

        match rest.strip_prefix('=') {
            Some(behind) => {
                let quoted = behind.trim_start().strip_prefix('"')?;
                let (value, behind) = take_quoted(quoted)?;
                all.push((name.into_owned(), value.into_owned()));
                rest = behind.trim_start();
            }
            None if metric.is_none() && all.is_empty() => metric = Some(name.into_owned()),
            None => return None,
        }

        match rest.strip_prefix(',') {
            Some(behind) => rest = behind.trim_start(),
            None if rest.is_empty() => break,
            None => return None,
        }
    }

    Some((metric, all))
}

/// Reads a text that begins behind a quote. Returns what is behind its end, too.
fn take_quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = quote_end(text.as_bytes())?;
    Some((unescaped(text.get(..end)?), text.get(end + 1..)?))
}

pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }

    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();

    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }

        match letters.next() {
            Some('n') => plain.push('\n'),
            Some(escaped @ ('\\' | '"')) => plain.push(escaped),
            Some(other) => plain.extend(['\\', other]),
            None => plain.push('\\'),
        }
    }

    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_whatever_is_in_their_values() {
        let line = br#"up{a="}\"{",b="\\"} 1 2"#;
        let end = series_end(line).expect("an end");
        assert_eq!(line.get(end..), Some(b" 1 2".as_slice()));

        let text = r#"{"my.name",a="}\"{ ",b="\\",c="x\ny",}"#;
        let (name, all) = pairs(text).expect("labels");
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());

        assert_eq!(name.as_deref(), Some("my.name"));
        assert_eq!(all, [own("a", "}\"{ "), own("b", "\\"), own("c", "x\ny")]);
    }

    #[test]
    fn what_does_not_end_is_none() {
        for text in ["{a=\"b", "{a=\"b\\\"}", "{a=b}", "{a=\"b\" c=\"d\"}", "{a"] {
            assert_eq!(pairs(text), None, "{text}");
        }

        assert_eq!(series_end(b"up{a=\"b"), None);
        assert_eq!(series_end(b"up"), None);
    }
}
