//! Lists one page of keys and common prefixes.

use std::ops::Bound;

use hyper::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::answer::{Answer, Refusal};
use super::call::{self, Call};
use super::clock;
use super::objects::{Object, Objects};
use super::xml::Document;

/// The largest number of keys and prefixes in one page, whatever the client asks for.
const PAGE_ENTRIES_MAX: usize = 1000;

/// The characters that `encoding-type=url` escapes: all but the unreserved characters and the
/// slash.
const ESCAPED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The parameters of a list request.
#[derive(Debug, Default)]
struct Spec {
    prefix: String,
    /// Keys that have the same text from the prefix up to this delimiter are listed as one common
    /// prefix. Empty: no common prefixes.
    delimiter: String,
    after: After,
    entries_max: usize,
}

/// Where a page starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum After {
    #[default]
    Start,
    /// After this key, which need not exist.
    Key(String),
    /// After all keys with this prefix.
    Prefix(String),
}

#[derive(Debug, Default)]
struct Page<'a> {
    objects: Vec<(&'a str, &'a Object)>,
    prefixes: Vec<&'a str>,
    /// Where the next page starts, if there is one.
    next: Option<After>,
}

impl After {
    /// Encodes the position as a token. Clients must not read it. It is safe in XML and in a query.
    fn token(&self) -> String {
        let (kind, text) = match self {
            Self::Start => ('s', ""),
            Self::Key(key) => ('k', key.as_str()),
            Self::Prefix(prefix) => ('p', prefix.as_str()),
        };

        format!("{kind}{}", utf8_percent_encode(text, NON_ALPHANUMERIC))
    }

    fn from_token(token: &str) -> Result<Self, Refusal> {
        let refused = || Refusal::invalid("the continuation token is not one of ours");
        let mut text = token.chars();
        let kind = text.next().ok_or_else(refused)?;
        let text = call::decode(text.as_str())?;

        match kind {
            's' => Ok(Self::Start),
            'k' => Ok(Self::Key(text)),
            'p' => Ok(Self::Prefix(text)),
            _ => Err(refused()),
        }
    }

    /// Whether a key is after this position.
    fn admits(&self, key: &str) -> bool {
        match self {
            Self::Start => true,
            Self::Key(after) => key > after.as_str(),
            Self::Prefix(prefix) => key > prefix.as_str() && !key.starts_with(prefix.as_str()),
        }
    }
}

impl Spec {
    fn of(call: &Call) -> Result<Self, Refusal> {
        let after = match (call.query("continuation-token"), call.query("start-after")) {
            (Some(token), _) => After::from_token(token)?,
            (None, Some(key)) => After::Key(key.to_owned()),
            (None, None) => After::Start,
        };

        let entries_max = match call.query("max-keys").map(str::parse) {
            None => PAGE_ENTRIES_MAX,
            Some(Ok(asked)) => PAGE_ENTRIES_MAX.min(asked),
            Some(Err(_)) => return Err(Refusal::invalid("max-keys is not a number")),
        };

        let text = |name: &str| call.query(name).unwrap_or_default().to_owned();
        Ok(Self {
            prefix: text("prefix"),
            delimiter: text("delimiter"),
            after,
            entries_max,
        })
    }
}

/// Answers `GET ?list-type=2`.
pub(super) fn answer(objects: &Objects, call: &Call) -> Result<Answer, Refusal> {
    let spec = Spec::of(call)?;
    let page = page(objects, &spec);
    let encodes = call.query("encoding-type") == Some("url");
    let spell = |text: &str| match encodes {
        true => utf8_percent_encode(text, &ESCAPED).to_string(),
        false => text.to_owned(),
    };

    let document = Document::new("ListBucketResult", |list| {
        list.text("Name", &call.bucket);
        list.text("Prefix", &spell(&spec.prefix));
        list.text("MaxKeys", &spec.entries_max.to_string());
        list.text(
            "KeyCount",
            &(page.objects.len() + page.prefixes.len()).to_string(),
        );

        list.text(
            "IsTruncated",
            if page.next.is_some() { "true" } else { "false" },
        );

        if encodes {
            list.text("EncodingType", "url");
        }

        if !spec.delimiter.is_empty() {
            list.text("Delimiter", &spell(&spec.delimiter));
        }

        if let Some(next) = &page.next {
            list.text("NextContinuationToken", &next.token());
        }

        for (key, object) in &page.objects {
            list.nest("Contents", |contents| {
                contents.text("Key", &spell(key));
                contents.text("LastModified", &clock::iso_date(object.modified_ms));
                contents.text("ETag", &object.e_tag);
                contents.text("Size", &object.body.len().to_string());
                contents.text("StorageClass", "STANDARD");
            });
        }

        for prefix in &page.prefixes {
            list.nest("CommonPrefixes", |common| {
                common.text("Prefix", &spell(prefix))
            });
        }
    });

    Ok(Answer::xml(StatusCode::OK, document))
}

/// Returns one page, in the byte order of keys. A common prefix counts as one entry.
fn page<'a>(objects: &'a Objects, spec: &Spec) -> Page<'a> {
    let mut page = Page::default();
    let mut last = spec.after.clone();
    let first = match &spec.after {
        After::Key(after) | After::Prefix(after) if *after > spec.prefix => after,
        _ => &spec.prefix,
    };

    for (key, object) in
        objects.range::<str, _>((Bound::Included(first.as_str()), Bound::Unbounded))
    {
        if !key.starts_with(&spec.prefix) {
            break;
        }

        if !last.admits(key) {
            continue;
        }

        if page.objects.len() + page.prefixes.len() == spec.entries_max {
            page.next = (spec.entries_max > 0).then_some(last);
            break;
        }

        last = match common_prefix(key, spec) {
            Some(common) => {
                page.prefixes.push(common);
                After::Prefix(common.to_owned())
            }
            None => {
                page.objects.push((key, object));
                After::Key(key.clone())
            }
        };
    }

    page
}

/// Returns the key up to the first delimiter after the prefix, inclusive.
fn common_prefix<'a>(key: &'a str, spec: &Spec) -> Option<&'a str> {
    if spec.delimiter.is_empty() {
        return None;
    }

    let rest = key.get(spec.prefix.len()..)?;
    let at = rest.find(&spec.delimiter)?;
    key.get(..spec.prefix.len() + at + spec.delimiter.len())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// Lists all pages: keys unchanged, prefixes followed by `*`.
    fn walk(
        keys: &[&str],
        prefix: &str,
        delimiter: &str,
        after: After,
        entries_max: usize,
    ) -> Vec<Vec<String>> {
        let object = |key: &&str| ((*key).to_owned(), Object::new(Bytes::new(), Vec::new(), 0));
        let objects: Objects = keys.iter().map(object).collect();
        let prefix = prefix.to_owned();
        let delimiter = delimiter.to_owned();

        let mut spec = Spec {
            prefix,
            delimiter,
            after,
            entries_max,
        };

        let mut pages = Vec::new();

        loop {
            let page = page(&objects, &spec);
            let keys = page.objects.iter().map(|(key, _)| (*key).to_owned());
            pages.push(
                keys.chain(page.prefixes.iter().map(|prefix| format!("{prefix}*")))
                    .collect(),
            );

            match page.next {
                Some(next) => spec.after = After::from_token(&next.token()).unwrap(),
                None => return pages,
            }
        }
    }

    const KEYS: [&str; 7] = ["a", "b/1", "b/2", "b/c/3", "b0", "d/é +=", "e"];

    #[test]
    fn pages_tile_the_keys() {
        for entries_max in 1..=KEYS.len() {
            let pages = walk(&KEYS, "", "", After::Start, entries_max);
            assert!(
                pages
                    .iter()
                    .all(|page| !page.is_empty() && page.len() <= entries_max)
            );

            assert_eq!(pages.concat(), KEYS, "{entries_max} entries a page");
        }
    }

    #[test]
    fn a_common_prefix_is_told_once_over_all_pages() {
        for entries_max in 1..=KEYS.len() {
            let mut all = walk(&KEYS, "", "/", After::Start, entries_max).concat();
            all.sort_unstable();

            assert_eq!(
                all,
                ["a", "b/*", "b0", "d/*", "e"],
                "{entries_max} entries a page"
            );
        }

        assert_eq!(
            walk(&KEYS, "b/", "/", After::Start, 9).concat(),
            ["b/1", "b/2", "b/c/*"]
        );
    }

    #[test]
    fn start_after_need_not_be_a_key() {
        assert_eq!(
            walk(&KEYS, "", "", After::Key("b/2".into()), 9).concat(),
            ["b/c/3", "b0", "d/é +=", "e"]
        );

        assert_eq!(
            walk(&KEYS, "b/", "", After::Key("b/10".into()), 9).concat(),
            ["b/2", "b/c/3"]
        );

        assert_eq!(
            walk(&KEYS, "b/", "", After::Key("a".into()), 9).concat(),
            ["b/1", "b/2", "b/c/3"]
        );

        assert!(
            walk(&KEYS, "b/", "", After::Key("c".into()), 9)
                .concat()
                .is_empty()
        );
    }

    #[test]
    fn a_page_of_no_entries_ends_the_walk() {
        assert_eq!(walk(&KEYS, "", "", After::Start, 0), [Vec::<String>::new()]);
    }
}
