//! JSON values as YAML in block style.

use serde_json::Value as Json;

/// Returns the text of a document. Every YAML 1.2 reader gets the same value back.
pub(super) fn to_yaml(value: &Json) -> String {
    let mut out = String::new();
    put(&mut out, value, 0);
    out.push('\n');

    // A block begins on a new line, which the document does not need.
    out.trim_start().to_owned()
}

/// Appends ` scalar`, or a block that begins on the next line.
fn put(out: &mut String, value: &Json, indent: usize) {
    match value {
        Json::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                begin(out, indent);
                out.push_str(&key(name));
                out.push(':');
                put(out, member, indent + 1);
            }
        }
        Json::Array(elements) if !elements.is_empty() => {
            for element in elements {
                begin(out, indent);
                out.push('-');
                put(out, element, indent + 1);
            }
        }
        // Other values are written as JSON, which is YAML as well.
        scalar => {
            out.push(' ');
            out.push_str(&scalar.to_string());
        }
    }
}

fn begin(out: &mut String, indent: usize) {
    out.push('\n');
    (0..indent).for_each(|_| out.push_str("  "));
}

/// Returns a key, with quotes if YAML could read it as a number or a word of its own.
fn key(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&name);
    if is_plain {
        name.to_owned()
    } else {
        Json::from(name).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_are_indented_and_scalars_are_json() {
        let value = json!({ "a": { "200": "x: y" }, "b": [1, { "c": null }, []], "d": {} });
        let lines = [
            "a:",
            "  \"200\": \"x: y\"",
            "b:",
            "  - 1",
            "  -",
            "    c: null",
            "  - []",
            "d: {}",
            "",
        ];

        assert_eq!(to_yaml(&value), lines.join("\n"));
    }
}
