//! The objects of the bucket, and requests for one of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED,
};
use xxhash_rust::xxh3::xxh3_128;

use super::answer::{Answer, Refusal};
use super::call::{COPY_IF_NONE_MATCH, Call};
use super::clock;
use super::range::{ByteRange, NoRange};

/// One object, as tests see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    pub key: String,
    pub size: u64,
    /// The tag, with its quotes.
    pub e_tag: String,
    pub modified_ms: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) body: Bytes,
    /// The tag, with its quotes. Equal bodies have equal tags, as in S3.
    pub(super) e_tag: String,
    pub(super) modified_ms: i64,
    /// The headers that are returned with the object.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// Objects by key, in the byte order of keys.
pub(super) type Objects = BTreeMap<String, Object>;

impl Object {
    pub(super) fn new(
        body: Bytes,
        headers: Vec<(HeaderName, HeaderValue)>,
        modified_ms: i64,
    ) -> Self {
        let e_tag = format!("\"{}\"", digest(&body));
        Self {
            body,
            e_tag,
            modified_ms,
            headers,
        }
    }

    pub(super) fn info(&self, key: &str) -> ObjectInfo {
        let size = self.body.len() as u64;
        ObjectInfo {
            key: key.to_owned(),
            size,
            e_tag: self.e_tag.clone(),
            modified_ms: self.modified_ms,
        }
    }
}

/// Returns a digest of 32 hexadecimal digits. It is not MD5: clients must not interpret a tag, and
/// this is ten times faster.
pub(super) fn digest(body: &[u8]) -> String {
    format!("{:032x}", xxh3_128(body))
}

/// Returns the headers of a write that are stored with the object.
pub(super) fn kept_headers(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let kept = [
        CACHE_CONTROL,
        CONTENT_DISPOSITION,
        CONTENT_ENCODING,
        CONTENT_LANGUAGE,
        CONTENT_TYPE,
    ];

    let is_kept =
        |name: &HeaderName| kept.contains(name) || name.as_str().starts_with("x-amz-meta-");
    let is_coat =
        |name: &HeaderName, value: &HeaderValue| name == CONTENT_ENCODING && value == "aws-chunked";

    headers
        .iter()
        .filter(|(name, value)| is_kept(name) && !is_coat(name, value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What a write requires of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Always,
    /// The key must not exist: `If-None-Match: *`.
    Absent,
    /// The object must have this tag: `If-Match`.
    Holds(String),
}

impl Condition {
    /// Returns the condition in the headers of a write.
    pub(super) fn of(call: &Call) -> Result<Self, Refusal> {
        let absent = call
            .header("if-none-match")
            .or_else(|| call.header(COPY_IF_NONE_MATCH));
        match (absent, call.header("if-match")) {
            (None, None) => Ok(Self::Always),
            (Some("*"), None) => Ok(Self::Absent),
            (None, Some(e_tag)) => Ok(Self::Holds(e_tag.to_owned())),
            _ => Err(not_implemented("this condition on a write")),
        }
    }

    pub(super) fn check(&self, existing: Option<&Object>) -> Result<(), Refusal> {
        match (self, existing) {
            (Self::Always, _) | (Self::Absent, None) => Ok(()),
            (Self::Absent, Some(_)) => Err(Refusal::precondition_failed("If-None-Match")),
            (Self::Holds(_), None) => Err(Refusal::no_such_key()),
            (Self::Holds(wanted), Some(object)) if same_tag(wanted, &object.e_tag) => Ok(()),
            (Self::Holds(_), Some(_)) => Err(Refusal::precondition_failed("If-Match")),
        }
    }
}

/// Whether two tags are equal, apart from quotes.
pub(super) fn same_tag(left: &str, right: &str) -> bool {
    left.trim_matches('"') == right.trim_matches('"')
}

pub(super) fn not_implemented(what: &str) -> Refusal {
    Refusal::new(
        StatusCode::NOT_IMPLEMENTED,
        "NotImplemented",
        format!("{what} is not implemented"),
    )
}

/// Answers GET, and HEAD before its body is dropped.
pub(super) fn read(objects: &Objects, call: &Call) -> Result<Answer, Refusal> {
    for refused in ["if-modified-since", "if-unmodified-since"] {
        if call.headers.contains_key(refused) {
            return Err(not_implemented(refused));
        }
    }

    if call.query("versionId").is_some() {
        return Err(not_implemented("versionId"));
    }

    let object = objects.get(&call.key).ok_or_else(Refusal::no_such_key)?;
    check_read(object, call)?;

    let size = object.body.len() as u64;
    let answer = match asked_range(call)? {
        None => Answer::new(StatusCode::OK).body(object.body.clone()),
        Some(range) => {
            let (start, end) = range.within(size).ok_or_else(|| not_satisfiable(size))?;

            // The conversions cannot fail, because `end` is at most the length of a body in memory.
            let from = usize::try_from(start).unwrap_or(0);
            let to = usize::try_from(end).unwrap_or(0);
            Answer::new(StatusCode::PARTIAL_CONTENT)
                .with(CONTENT_RANGE, &format!("bytes {start}-{}/{size}", end - 1))
                .body(object.body.slice(from..to))
        }
    };

    let answer = answer
        .with(ETAG, &object.e_tag)
        .with(LAST_MODIFIED, &clock::http_date(object.modified_ms))
        .with(ACCEPT_RANGES, "bytes");

    Ok(object.headers.iter().fold(answer, |answer, (name, value)| {
        answer.with_value(name.clone(), value.clone())
    }))
}

fn check_read(object: &Object, call: &Call) -> Result<(), Refusal> {
    let lists = |header: &str| {
        header == "*"
            || header
                .split(',')
                .any(|tag| same_tag(tag.trim(), &object.e_tag))
    };

    if call.header("if-match").is_some_and(|header| !lists(header)) {
        return Err(Refusal::precondition_failed("If-Match"));
    }

    if call.header("if-none-match").is_some_and(lists) {
        return Err(Refusal::new(StatusCode::NOT_MODIFIED, "NotModified", ""));
    }

    Ok(())
}

fn asked_range(call: &Call) -> Result<Option<ByteRange>, Refusal> {
    match call.header("range").map(ByteRange::parse) {
        None | Some(Err(NoRange::Malformed)) => Ok(None),
        Some(Err(NoRange::Several)) => Err(not_implemented("several ranges in one request")),
        Some(Ok(range)) => Ok(Some(range)),
    }
}

fn not_satisfiable(size: u64) -> Refusal {
    Refusal::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "InvalidRange",
        "the object has no byte in this range",
    )
    .with(CONTENT_RANGE, format!("bytes */{size}"))
}
