//! Parses an HTTP request as an S3 operation.

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, HeaderMap, IF_MATCH, IF_NONE_MATCH};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use url::form_urlencoded;

use super::answer::Refusal;
use super::chunked;
use super::range::ByteRange;

/// The operation of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    Get,
    Head,
    /// A plain PUT of an object, conditional or not.
    Put,
    /// A PUT with `x-amz-copy-source`.
    Copy,
    Delete,
    /// `POST ?delete`. The keys are in the body, so the key of the request is empty.
    DeleteMany,
    /// `GET ?list-type=2`. The key of the request is the prefix to list.
    List,
    CreateUpload,
    /// A part of an upload, from the body or from another object.
    PutPart,
    CompleteUpload,
    AbortUpload,
    HeadBucket,
    GetVersioning,
    GetObjectLock,
    /// Any other request. It is answered 501.
    Other,
}

/// A request with its whole body.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) op: Op,
    pub(super) bucket: String,
    /// The decoded key. [`Op`] says what it is for operations that are not about one object.
    pub(super) key: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    /// The payload. If the body was `aws-chunked`, it has been decoded.
    pub(super) body: Bytes,
    /// The access key of the signature, if there is one.
    pub(super) access_key: Option<String>,
    pub(super) session_token: Option<String>,
}

impl Call {
    /// Parses a request. It is refused if its path or body cannot be understood.
    pub(super) fn read(head: Parts, body: Bytes) -> Result<Self, Refusal> {
        let (bucket, key) = bucket_and_key(head.uri.path())?;
        let query: Vec<(String, String)> =
            form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();

        let op = operation(&head.method, !key.is_empty(), &query, &head.headers);
        let body = if is_chunked(&head.headers) {
            unwrap_chunks(&head.headers, body)?
        } else {
            body
        };

        let access_key = access_key(&head.headers);
        let token = head
            .headers
            .get("x-amz-security-token")
            .and_then(|token| token.to_str().ok());

        let session_token = token.map(str::to_owned);
        let mut call = Self {
            op,
            bucket,
            key,
            query,
            headers: head.headers,
            body,
            access_key,
            session_token,
        };

        if op == Op::List {
            call.key = call.query("prefix").unwrap_or_default().to_owned();
        }

        Ok(call)
    }

    /// Returns the value of a query parameter. A flag without a value is empty.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the value of a header, if it is present and visible ASCII.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the requested range, if there is exactly one.
    pub(super) fn range(&self) -> Option<ByteRange> {
        ByteRange::parse(self.header("range")?).ok()
    }

    /// Whether this is a write with a condition.
    pub(super) fn is_conditional_write(&self) -> bool {
        let writes = matches!(self.op, Op::Put | Op::Copy | Op::CompleteUpload);
        let conditions = [
            IF_NONE_MATCH.as_str(),
            IF_MATCH.as_str(),
            COPY_IF_NONE_MATCH,
        ];

        writes
            && conditions
                .iter()
                .any(|name| self.headers.contains_key(*name))
    }
}

/// The header that some stores use for "copy if the destination does not exist".
pub(super) const COPY_IF_NONE_MATCH: &str = "cf-copy-destination-if-none-match";

/// Splits a path into bucket and key. In a path, `+` is a plain character; only `%` escapes are
/// decoded.
fn bucket_and_key(path: &str) -> Result<(String, String), Refusal> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    Ok((decode(bucket)?, decode(key)?))
}

/// Decodes percent escapes. The text is refused if the result is not UTF-8.
pub(super) fn decode(text: &str) -> Result<String, Refusal> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(|text| text.into_owned()).map_err(|_| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            "InvalidURI",
            "the path is not UTF-8",
        )
    })
}

fn operation(
    method: &Method,
    has_key: bool,
    query: &[(String, String)],
    headers: &HeaderMap,
) -> Op {
    let asks = |name: &str| query.iter().any(|(key, _)| key == name);

    match (method.as_str(), has_key) {
        ("GET", true) if !asks("uploadId") && !asks("tagging") && !asks("acl") => Op::Get,
        ("HEAD", true) => Op::Head,
        ("PUT", true) if asks("partNumber") && asks("uploadId") => Op::PutPart,
        ("PUT", true) if headers.contains_key("x-amz-copy-source") => Op::Copy,
        ("PUT", true) if query.iter().all(|(name, _)| name == "x-id") => Op::Put,
        ("DELETE", true) if asks("uploadId") => Op::AbortUpload,
        ("DELETE", true) => Op::Delete,
        ("POST", true) if asks("uploads") => Op::CreateUpload,
        ("POST", true) if asks("uploadId") => Op::CompleteUpload,
        ("GET", false) if asks("list-type") => Op::List,
        ("GET", false) if asks("versioning") => Op::GetVersioning,
        ("GET", false) if asks("object-lock") => Op::GetObjectLock,
        ("HEAD", false) => Op::HeadBucket,
        ("POST", false) if asks("delete") => Op::DeleteMany,
        _ => Op::Other,
    }
}

fn is_chunked(headers: &HeaderMap) -> bool {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };

    text("x-amz-content-sha256").starts_with("STREAMING-")
        || text(CONTENT_ENCODING.as_str()).contains("aws-chunked")
}

fn unwrap_chunks(headers: &HeaderMap, body: Bytes) -> Result<Bytes, Refusal> {
    let incomplete = || {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            "IncompleteBody",
            "the chunks end too early",
        )
    };

    let payload = chunked::decode(body).ok_or_else(incomplete)?;
    let declared = headers
        .get("x-amz-decoded-content-length")
        .and_then(|value| value.to_str().ok());

    match declared {
        Some(declared) if declared.parse() != Ok(payload.len()) => Err(incomplete()),
        _ => Ok(payload),
    }
}

/// Returns the key in `AWS4-HMAC-SHA256 Credential=KEY/date/region/s3/aws4_request, ..`.
fn access_key(headers: &HeaderMap) -> Option<String> {
    let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (_, credential) = header
        .strip_prefix("AWS4-HMAC-SHA256")?
        .split_once("Credential=")?;
    let (key, _) = credential.split_once('/')?;

    Some(key.to_owned()).filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn read(method: &str, uri: &str, headers: &[(&str, &str)]) -> Call {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }

        let (head, ()) = request.body(()).unwrap().into_parts();
        Call::read(head, Bytes::new()).unwrap()
    }

    #[test]
    fn each_operation_is_told_from_the_others() {
        let check = |method: &str, uri: &str, expected: Op| {
            assert_eq!(read(method, uri, &[]).op, expected, "{method} {uri}");
        };
        check("GET", "/b/k", Op::Get);
        check("HEAD", "/b/k", Op::Head);
        check("PUT", "/b/k", Op::Put);
        check("PUT", "/b/k?partNumber=1&uploadId=u", Op::PutPart);
        check("PUT", "/b/k?tagging", Op::Other);
        check("DELETE", "/b/k", Op::Delete);
        check("DELETE", "/b/k?uploadId=u", Op::AbortUpload);
        check("POST", "/b/k?uploads", Op::CreateUpload);
        check("POST", "/b/k?uploads=", Op::CreateUpload);
        check("POST", "/b/k?uploadId=u", Op::CompleteUpload);
        check("GET", "/b?list-type=2", Op::List);
        check("GET", "/b/?list-type=2", Op::List);
        check("GET", "/b?versioning", Op::GetVersioning);
        check("GET", "/b?object-lock", Op::GetObjectLock);
        check("HEAD", "/b", Op::HeadBucket);
        check("POST", "/b?delete", Op::DeleteMany);
        check("GET", "/b", Op::Other);
        check("PATCH", "/b/k", Op::Other);

        assert_eq!(
            read("PUT", "/b/k", &[("x-amz-copy-source", "b/j")]).op,
            Op::Copy
        );
    }

    #[test]
    fn a_plus_is_itself_in_a_path_and_a_space_in_a_query() {
        assert_eq!(read("GET", "/b/a+b%20c%2Bd/%C3%A9", &[]).key, "a+b c+d/é");
        assert_eq!(
            read("GET", "/b?list-type=2&prefix=a+b%2Bc", &[]).key,
            "a b+c"
        );
    }

    #[test]
    fn the_access_key_is_read_from_the_signature() {
        let signed = "AWS4-HMAC-SHA256 Credential=KEY/20260101/eu/s3/aws4_request, SignedHeaders=host, Signature=0";
        assert_eq!(
            read("GET", "/b/k", &[("authorization", signed)])
                .access_key
                .as_deref(),
            Some("KEY")
        );

        assert_eq!(
            read("GET", "/b/k", &[("authorization", "Bearer x")]).access_key,
            None
        );

        assert_eq!(read("GET", "/b/k", &[]).access_key, None);
    }
}
