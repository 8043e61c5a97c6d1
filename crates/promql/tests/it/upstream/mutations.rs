//! Texts that are expressions, or nearly.

use duramen_syntax::ast::ValueType;

use super::writer::Writer;

/// Tokens to insert at random places.
const TOKENS: [&str; 72] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "=",
    "==",
    "!=",
    "=~",
    "!~",
    ">",
    "<",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "@",
    "</",
    ">/",
    "atan2",
    "and",
    "or",
    "unless",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
    "sum",
    "topk",
    "rate",
    "start",
    "end",
    "step",
    "range",
    "step()",
    "range()",
    "min_of",
    "fill",
    "fill_left",
    "fill_right",
    "anchored",
    "smoothed",
    "5m",
    "1",
    "0x1F",
    "1e3",
    "Inf",
    "NaN",
    "-1",
    "0",
    "\"x\"",
    "'y'",
    "`z`",
    "\"a\\n\"",
    "'",
    "up",
    "job",
    "é",
    "__name__",
    "#c\n",
    "$",
    "1h30m",
    "5mm",
];

/// Returns an expression, or one with a few changes.
pub(super) fn text(writer: &mut Writer) -> String {
    let kind = [
        ValueType::Scalar,
        ValueType::Matrix,
        ValueType::Vector,
        ValueType::Vector,
        ValueType::String,
    ][writer.below(5)];

    let mut text = writer.expression(kind);
    let changes = [0, 1, 1, 2][writer.below(4)];

    for _ in 0..changes {
        let mut tokens = tokens(&text);
        let at = writer.below(tokens.len());

        match writer.below(6) {
            0 => _ = tokens.remove(at),
            1 => {
                let other = writer.below(tokens.len());
                tokens.swap(at, other);
            }
            2 => tokens.truncate(at + 1),
            3 => tokens[at] = writer.one(&TOKENS).to_owned(),
            4 => tokens.insert(at, writer.one(&TOKENS).to_owned()),
            _ => {
                let other = writer.below(tokens.len());
                tokens[at] = tokens[other].clone();
            }
        }

        text = tokens.concat();
        if text.is_empty() {
            break;
        }
    }

    if writer.maybe(10) {
        text = text.replacen(' ', "\n", 1);
    }

    text
}

/// Splits a text into words, blanks and single characters.
fn tokens(text: &str) -> Vec<String> {
    let class = |c: char| {
        if c.is_alphanumeric() || c == '_' {
            0
        } else if c.is_whitespace() {
            1
        } else {
            2
        }
    };

    let mut tokens: Vec<String> = Vec::new();
    let mut last = None;

    for c in text.chars() {
        match tokens
            .last_mut()
            .filter(|_| last == Some(class(c)) && class(c) != 2)
        {
            Some(token) => token.push(c),
            None => tokens.push(c.to_string()),
        }

        last = Some(class(c));
    }

    tokens
}
