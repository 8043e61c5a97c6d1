//! Strings in quotes by the rules of Go. PromQL, its error texts and the printed series of
//! Prometheus use the same rules.

use std::fmt::Write as _;

/// `text` in double quotes. Characters that cannot be printed are escaped.
pub fn quote(text: &str) -> String {
    delimited(text.chars(), '"')
}

/// Like [`quote`]; bytes that are not UTF-8 are escaped one by one.
pub fn quote_bytes(bytes: &[u8]) -> String {
    let mut quoted = String::from('"');
    for chunk in bytes.utf8_chunks() {
        push_escaped(&mut quoted, chunk.valid().chars(), '"');
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(quoted, "\\x{byte:02x}");
        }
    }

    quoted.push('"');
    quoted
}

/// One character in single quotes.
pub fn quote_char(c: char) -> String {
    delimited(std::iter::once(c), '\'')
}

fn delimited(chars: impl Iterator<Item = char>, delimiter: char) -> String {
    let mut quoted = String::from(delimiter);
    push_escaped(&mut quoted, chars, delimiter);
    quoted.push(delimiter);

    quoted
}

fn push_escaped(quoted: &mut String, chars: impl Iterator<Item = char>, delimiter: char) {
    for c in chars {
        match c {
            '\\' => quoted.push_str("\\\\"),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x0b' => quoted.push_str("\\v"),
            c if c == delimiter => quoted.extend(['\\', c]),
            // Go prints the replacement character as it is, but then the text could not be parsed
            // back.
            c if is_printable(c) && c != char::REPLACEMENT_CHARACTER => quoted.push(c),
            c => push_code_point(quoted, c),
        }
    }
}

fn push_code_point(quoted: &mut String, c: char) {
    let code = u32::from(c);
    let width_and_letter = match code {
        0..=0x7f => ('x', 2),
        0x80..=0xffff => ('u', 4),
        _ => ('U', 8),
    };

    let (letter, width) = width_and_letter;

    // Writing to a string cannot fail.
    let _ = write!(quoted, "\\{letter}{code:0width$x}");
}

/// Whether Go prints the character as it is. `escape_debug` of the standard library knows the
/// classes, but it escapes a combining mark at the start of a text. So a letter is put before the
/// character.
pub fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return c == ' ' || c.is_ascii_graphic();
    }

    let shown: String = ['a', c].iter().collect();
    shown.escape_debug().eq(shown.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_escapes_what_does_not_print() {
        assert_eq!(quote("a\"b\\c'\n\x07"), r#""a\"b\\c'\n\a""#);
        assert_eq!(quote("\x00\x7f"), r#""\x00\x7f""#);
        assert_eq!(
            quote("é\u{301}\u{a0}\u{200b}"),
            "\"é\u{301}\\u00a0\\u200b\""
        );

        assert_eq!(quote("\u{10fffd}"), r#""\U0010fffd""#);
        assert_eq!(quote_char('\''), r"'\''");
        assert_eq!(quote_char('"'), "'\"'");
    }

    #[test]
    fn bytes_that_are_no_text_are_escaped_one_by_one() {
        assert_eq!(quote_bytes(b"a\xc5z\xff"), r#""a\xc5z\xff""#);
    }
}
