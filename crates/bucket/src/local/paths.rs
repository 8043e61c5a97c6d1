//! Maps keys to paths of files, one to one.
//!
//! The segments of a key are directories, so that SQL engines can see `block=...`. Some characters
//! are written as `%` and two hexadecimal digits: a leading `.` (so that nothing is hidden, refers
//! to a parent, or conflicts with the staging directory), `%` itself, `\` and control characters. A
//! segment that is too long for a name is cut into several directories. Each of them but the last
//! ends with `%+`.

use std::path::PathBuf;

use object_store::path::Path;

/// The longest name, including the mark. The usual file systems allow 255 bytes.
const NAME_BYTES_MAX: usize = 240;
const GOES_ON: &str = "%+";

/// Returns the path of a key below the root of the store.
pub(super) fn path_of(key: &Path) -> PathBuf {
    let mut path = PathBuf::new();

    for part in key.as_ref().split('/').filter(|part| !part.is_empty()) {
        let mut name = encode(part);
        if name.len() > NAME_BYTES_MAX {
            // Every piece of a cut segment begins a name, so no `.` may stay.
            name = name.replace('.', "%2E");
        }

        let mut rest = name.as_str();
        while rest.len() > NAME_BYTES_MAX {
            let (head, tail) = rest.split_at(last_cut(rest));
            path.push(format!("{head}{GOES_ON}"));
            rest = tail;
        }

        path.push(rest);
    }

    path
}

/// Returns the last place before [`NAME_BYTES_MAX`] where a cut splits neither a character nor an
/// escape.
fn last_cut(name: &str) -> usize {
    let is_cut = |at: &usize| {
        name.is_char_boundary(*at)
            && !name
                .as_bytes()
                .get(at.saturating_sub(2)..*at)
                .is_some_and(|b| b.contains(&b'%'))
    };

    (1..=NAME_BYTES_MAX)
        .rev()
        .find(is_cut)
        .expect("a character and an escape are short")
}

fn encode(part: &str) -> String {
    let mut name = String::with_capacity(part.len());

    for (at, c) in part.char_indices() {
        let is_safe = c != '%' && c != '\\' && !c.is_ascii_control() && (at > 0 || c != '.');
        if is_safe {
            name.push(c);
        } else {
            name.push_str(&format!("%{:02X}", u32::from(c)));
        }
    }

    name
}

/// What the name of a file or directory stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// A whole segment, or the end of one.
    Ends(String),
    /// The beginning of a segment that continues in the directory with this name.
    GoesOn(String),
}

/// Decodes a name. Returns `None` if no key has this name; then the file is not ours.
pub(super) fn segment_of(name: &str) -> Option<Segment> {
    if name.starts_with('.') {
        return None;
    }

    if let Some(head) = name.strip_suffix(GOES_ON) {
        return Some(Segment::GoesOn(decode(head)?));
    }

    Some(Segment::Ends(decode(name)?))
}

fn decode(name: &str) -> Option<String> {
    let mut pieces = name.split('%');
    let mut part = pieces.next()?.to_owned();

    for piece in pieces {
        let (hex, rest) = piece.split_at_checked(2)?;
        part.push(char::from(u8::from_str_radix(hex, 16).ok()?));
        part.push_str(rest);
    }

    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(path: &std::path::Path) -> String {
        let mut key = String::new();
        for name in path {
            match segment_of(name.to_str().unwrap()).unwrap() {
                Segment::Ends(part) => key.push_str(&(part + "/")),
                Segment::GoesOn(part) => key.push_str(&part),
            }
        }

        key.pop();
        key
    }

    #[test]
    fn a_partition_of_sql_engines_keeps_its_name() {
        let key = Path::from("t/0A/blocks/block=0B/series.parquet");
        assert_eq!(path_of(&key).to_str().unwrap(), key.as_ref());
    }

    #[test]
    fn no_key_goes_up_or_into_staging() {
        for (raw, path) in [
            (".staging/x", "%2Estaging/x"),
            ("a/...", "a/%2E.."),
            ("%2E%2E/x", "%252E%252E/x"),
            ("a\\b", "a%5Cb"),
        ] {
            assert_eq!(path_of(&Path::parse(raw).unwrap()).to_str().unwrap(), path);
        }
    }

    #[test]
    fn a_name_of_a_thousand_bytes_is_cut_at_whole_characters() {
        let key = Path::parse(format!("a/{}/b", "é%".repeat(500))).unwrap();
        let path = path_of(&key);

        assert!(path.iter().all(|name| name.len() <= 255), "{path:?}");
        assert_eq!(decoded(&path), key.as_ref());
    }

    proptest! {
        #[test]
        fn every_key_comes_back(raw in "[ -~\u{e9}\u{1f600}]{1,600}") {
            if let Ok(key) = Path::parse(raw.trim_matches('/')) && !key.is_root() {
                let path = path_of(&key);
                prop_assert!(path.iter().all(|name| name.len() <= 255 && !name.to_str().unwrap().starts_with('.')));
                prop_assert_eq!(decoded(&path), key.as_ref());
            }
        }

        #[test]
        fn any_name_is_a_segment_or_a_strangers(name in ".{0,40}") {
            let _ = segment_of(&name);
        }
    }
}
