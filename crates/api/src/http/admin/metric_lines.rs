//! The lines of our own text format, read back.

/// A name, labels and a value.
pub type Sample<'a> = (&'a str, Vec<(String, String)>, f64);

/// A sample line of our own text format: `name{label="value",..} value`. `None` for comments.
pub fn parse_line(line: &str) -> Option<Sample<'_>> {
    if line.starts_with('#') {
        return None;
    }

    let name_end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = Vec::new();

    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, behind) = rest.trim_start_matches(',').split_once("=\"")?;
            let (value, behind) = take_quoted(behind)?;
            labels.push((label.to_owned(), value));
            rest = behind;
        }

        rest = rest.strip_prefix('}')?;
    }

    let value = match rest.split_whitespace().next()? {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().ok()?,
    };

    Some((name, labels, value))
}

/// The text up to the closing quote, and what is behind it.
fn take_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();

    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }

    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_text_format_are_read() {
        let labels = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect::<Vec<_>>()
        };

        assert_eq!(parse_line("# TYPE x counter"), None);
        assert_eq!(parse_line("x_total 3"), Some(("x_total", vec![], 3.0)));

        let expected = labels(&[("a", "1,\"}"), ("le", "+Inf")]);
        assert_eq!(
            parse_line(r#"x{a="1,\"}",le="+Inf"} +Inf"#),
            Some(("x", expected, f64::INFINITY))
        );
    }
}
