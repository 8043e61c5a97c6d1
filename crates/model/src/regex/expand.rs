//! Replacement templates, as in Go's `Regexp.Expand`.

use std::sync::OnceLock;

use super::runes::{RuneSet, property};

/// Writes the template and replaces `$1`, `${1}`, `$name`, `${name}` by groups and `$$` by `$`. A
/// name is as long as possible: `$1x` is the group `1x`. A group that does not exist, or that took
/// no part in the match, is empty. A `$` that starts no name stands for itself. If groups share a
/// name, the first that took part counts. `group(0)` is the whole match.
pub(super) fn expand<'s>(
    template: &str,
    names: &[Option<String>],
    group: impl Fn(usize) -> Option<&'s str>,
) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;

    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;

        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }

        let Some((name, after)) = reference(rest) else {
            out.push('$');
            continue;
        };

        rest = after;

        let value = match number(name) {
            Some(index) => group(index),
            None => {
                let named = names
                    .iter()
                    .enumerate()
                    .filter(|(_, known)| known.as_deref() == Some(name));

                named.map(|(at, _)| at + 1).find_map(&group)
            }
        };

        out.push_str(value.unwrap_or_default());
    }

    out.push_str(rest);
    out
}

/// Splits `name` or `{name}` from the text that follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('{');
    let text = inner.unwrap_or(text);
    let length = text.find(|single| !is_name(single)).unwrap_or(text.len());
    let (name, rest) = text.split_at(length);

    if name.is_empty() {
        return None;
    }

    match inner {
        Some(_) => Some((name, rest.strip_prefix('}')?)),
        None => Some((name, rest)),
    }
}

/// Whether the character may stand in a name: letters and decimal digits of Unicode, and `_`.
fn is_name(single: char) -> bool {
    static LETTERS: OnceLock<RuneSet> = OnceLock::new();
    if single.is_ascii() {
        return single == '_' || single.is_ascii_alphanumeric();
    }

    let letters = LETTERS.get_or_init(|| {
        let ranges = ["gc=L", "gc=Nd"]
            .iter()
            .filter_map(|&query| property(query));
        RuneSet::new(ranges.flat_map(|set| set.ranges().to_vec()).collect())
    });

    letters.contains(u32::from(single))
}

/// The index of a name that consists of digits. `None` when it has a leading zero or is too large:
/// then it is an ordinary name.
fn number(name: &str) -> Option<usize> {
    let digits = name.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || name.len() > 9 || (name.len() > 1 && name.starts_with('0')) {
        return None;
    }

    name.parse().ok()
}
