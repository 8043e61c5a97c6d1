//! Parses quoted strings. [`duramen_model::quoted`] prints them.

pub(crate) use duramen_model::quoted::{is_printable, quote, quote_bytes, quote_char};

/// A character as Go names it in messages: `U+0063 'c'`.
pub(crate) fn code_point(c: char) -> String {
    let code = u32::from(c);
    if is_printable(c) {
        format!("U+{code:04X} '{c}'")
    } else {
        format!("U+{code:04X}")
    }
}

/// The value of a quoted string that the lexer has accepted; `quoted` includes the quotes. The
/// value may be invalid UTF-8, because escapes such as `\xff` write bytes. Returns `None` when the
/// text is not a quoted string.
pub(crate) fn unquote(quoted: &str) -> Option<Vec<u8>> {
    let delimiter = quoted.chars().next()?;
    let inner = quoted.strip_prefix(delimiter)?.strip_suffix(delimiter)?;

    if delimiter == '`' {
        // Go drops carriage returns from raw strings, but upstream keeps them.
        return Some(inner.as_bytes().to_vec());
    }

    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();

    while let Some(c) = chars.next() {
        match c {
            '\\' => push_escape(&mut bytes, &mut chars)?,
            c => push_char(&mut bytes, c),
        }
    }

    Some(bytes)
}

fn push_char(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn push_escape(bytes: &mut Vec<u8>, chars: &mut std::str::Chars<'_>) -> Option<()> {
    let kind = chars.next()?;
    let simple = match kind {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' | '\'' | '"' => u8::try_from(kind).ok()?,
        'x' => u8::try_from(digits(chars, 2, 16, 0)?).ok()?,
        '0'..='7' => u8::try_from(digits(chars, 2, 8, kind.to_digit(8)?)?).ok()?,
        'u' | 'U' => {
            let width = if kind == 'u' { 4 } else { 8 };
            push_char(bytes, char::from_u32(digits(chars, width, 16, 0)?)?);
            return Some(());
        }
        _ => return None,
    };

    bytes.push(simple);
    Some(())
}

/// Reads `count` digits and appends them to the number `start`.
fn digits(chars: &mut std::str::Chars<'_>, count: usize, base: u32, start: u32) -> Option<u32> {
    let mut value = start;
    for _ in 0..count {
        value = value
            .checked_mul(base)?
            .checked_add(chars.next()?.to_digit(base)?)?;
    }

    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquoting_undoes_quoting() {
        for text in [
            "",
            "plain",
            "a\"b\\c'\n\x07\x00",
            "é\u{a0}\u{10fffd}\u{fffd}",
        ] {
            assert_eq!(unquote(&quote(text)).as_deref(), Some(text.as_bytes()));
        }

        assert_eq!(quote_bytes(b"a\xffb\xc3\n"), r#""a\xffb\xc3\n""#);
        assert_eq!(
            unquote(r#""a\xffb\xc3\n""#).as_deref(),
            Some(b"a\xffb\xc3\n".as_slice())
        );
    }

    #[test]
    fn escapes_write_bytes() {
        assert_eq!(unquote(r#""\xc3\xa9""#).as_deref(), Some("é".as_bytes()));
        assert_eq!(
            unquote(r#""\xff\377""#).as_deref(),
            Some([0xff, 0xff].as_slice())
        );

        assert_eq!(
            unquote(r"'\u1234\U00010111'").as_deref(),
            Some("\u{1234}\u{10111}".as_bytes())
        );

        assert_eq!(unquote(r"`\n`").as_deref(), Some(r"\n".as_bytes()));
        assert_eq!(unquote(r#""\q""#), None);
    }
}
