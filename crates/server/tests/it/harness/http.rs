//! A small HTTP/1.1 client with one connection a request. It can also send requests that no correct
//! client would send.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails fails its test"
)]

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::form_urlencoded::Serializer;

/// The longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// The answer of a server.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Returns the value of a header, which is named in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Json {
        assert_eq!(
            self.header("content-type"),
            Some("application/json"),
            "{self:?}"
        );

        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// Returns the `data` of a success.
    #[track_caller]
    pub(crate) fn data(&self) -> Json {
        assert_eq!(self.status, 200, "{}", self.text());

        let mut json = self.json();
        assert_eq!(json["status"], "success", "{json}");

        json["data"].take()
    }

    /// Checks the envelope of an error and returns its text.
    #[track_caller]
    pub(crate) fn error(&self, status: u16, error_type: &str) -> String {
        assert_eq!(self.status, status, "{}", self.text());

        let json = self.json();
        assert_eq!(
            (&json["status"], &json["errorType"]),
            (&"error".into(), &error_type.into()),
            "{json}"
        );

        json["error"].as_str().unwrap().to_owned()
    }
}

/// A request to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, target: impl Into<String>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn get(path: &str, params: &[(&str, &str)]) -> Self {
        let form = form(params);
        Self::new(
            "GET",
            if form.is_empty() {
                path.to_owned()
            } else {
                format!("{path}?{form}")
            },
        )
    }

    /// Returns a POST of a form.
    pub(crate) fn post(path: &str, params: &[(&str, &str)]) -> Self {
        Self::new("POST", path)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form(params))
    }

    /// Returns a POST of a multipart form, as `curl -F` sends it.
    pub(crate) fn in_parts(path: &str, params: &[(&str, &str)]) -> Self {
        let mut body = String::new();
        for (name, value) in params {
            body.push_str(&format!(
                "--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            ));
        }

        body.push_str("--b--\r\n");
        Self::new("POST", path)
            .header("Content-Type", "multipart/form-data; boundary=b")
            .body(body)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the request and reads the whole answer. A server that neither answers nor closes is a
    /// time-out.
    pub(crate) async fn send(&self, to: SocketAddr) -> std::io::Result<Answer> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n",
            self.method, self.target
        );

        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }

        let has_length = self
            .headers
            .iter()
            .any(|(name, _)| name == "Content-Length" || name == "Transfer-Encoding");

        if !has_length {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }

        head.push_str("\r\n");

        let bytes =
            tokio::time::timeout(ANSWER_MAX, exchange(to, head.as_bytes(), &self.body)).await??;
        let answer = if self.method == "HEAD" {
            head_of(&bytes).map(|(answer, _)| answer)
        } else {
            parse(&bytes)
        };

        answer.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
    }
}

fn form(params: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(params).finish()
}

/// Sends bytes as they are, and reads until the server closes. A server may answer and close before
/// it has read everything.
async fn exchange(to: SocketAddr, head: &[u8], body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(to).await?;
    let (mut from, mut into) = stream.split();
    let write = async {
        into.write_all(head).await?;
        into.write_all(body).await
    };

    let mut bytes = Vec::new();
    let (_, read) = tokio::join!(write, from.read_to_end(&mut bytes));

    if head_of(&bytes).is_some() {
        return Ok(bytes);
    }

    Err(read
        .err()
        .unwrap_or_else(|| std::io::ErrorKind::UnexpectedEof.into()))
}

/// Returns an answer without its body, and the bytes after its head; `None` if the head is cut off.
fn head_of(bytes: &[u8]) -> Option<(Answer, &[u8])> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let header = |line: &str| {
        line.split_once(": ")
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
    };

    let headers: Vec<_> = lines.filter_map(header).collect();
    Some((
        Answer {
            status,
            headers,
            body: Vec::new(),
        },
        &bytes[end + 4..],
    ))
}

/// Parses an answer; `None` if it is cut off.
fn parse(bytes: &[u8]) -> Option<Answer> {
    let (mut answer, body) = head_of(bytes)?;
    answer.body = body.to_vec();

    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = dechunk(&answer.body)?;
    } else if let Some(length) = answer.header("content-length") {
        let length: usize = length.parse().ok()?;
        answer.body = answer.body.get(..length)?.to_vec();
    }

    Some(answer)
}

fn dechunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();

    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?, 16).ok()?;
        rest = &rest[line + 2..];

        if length == 0 {
            return Some(body);
        }

        body.extend_from_slice(rest.get(..length)?);
        rest = rest.get(length + 2..)?;
    }
}
