//! Errors in the heads of requests. hyper refuses such a head before our code sees it, and its
//! answer has no body that tells the client why.
//!
//! [`HeadErrors`] stands between hyper and the connection, and puts an answer with a body in the
//! place of hyper's. hyper writes its answer alone and then ends the connection. So it can be
//! recognized by its bytes: a status that we never send without a body, and no body.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The first line of each of hyper's answers, and the text that a person should read.
const ANSWERS: [(&str, &str); 3] = [
    (
        "HTTP/1.1 400 Bad Request\r\n",
        "the head of the request is not HTTP",
    ),
    (
        "HTTP/1.1 414 URI Too Long\r\n",
        "the URL is too long: send the parameters as a form in the body of a POST. url_bytes_max=`65534`",
    ),
    (
        "HTTP/1.1 431 Request Header Fields Too Large\r\n",
        "the head of the request has too many headers, or they are too large. headers_max=`100`",
    ),
];
/// The longest head that hyper writes for an answer without a body.
const HEAD_BYTES_MAX: usize = 256;

/// A connection on which hyper's bare answers get the envelope of the API.
#[derive(Debug)]
pub(crate) struct HeadErrors<T> {
    connection: T,
    /// The answer that is being written in the place of hyper's.
    replacement: Option<Replacement>,
}

#[derive(Debug)]
struct Replacement {
    bytes: Vec<u8>,
    written: usize,
    /// The length of hyper's own answer.
    stands_for: usize,
}

impl<T> HeadErrors<T> {
    pub(crate) const fn new(connection: T) -> Self {
        Self {
            connection,
            replacement: None,
        }
    }
}

/// Returns the replacement for an answer of hyper, or `None` if `answer` is not one.
fn replacement(answer: &[u8]) -> Option<Replacement> {
    if answer.len() > HEAD_BYTES_MAX {
        return None;
    }

    let head = std::str::from_utf8(answer).ok()?.strip_suffix("\r\n\r\n")?;
    let (line, why) = ANSWERS.iter().find(|(line, _)| head.starts_with(line))?;
    let is_bare = head
        .lines()
        .any(|header| header.eq_ignore_ascii_case("content-length: 0"));
    let is_alone =
        !head.contains("\r\n\r\n") && !head.to_ascii_lowercase().contains("content-type:");

    if !is_bare || !is_alone {
        return None;
    }

    let others = head[line.len()..]
        .lines()
        .filter(|header| !header.eq_ignore_ascii_case("content-length: 0"));
    let others: String = others.map(|header| format!("{header}\r\n")).collect();
    let why = json!(why);
    let body = format!("{{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":{why}}}");
    let length = body.len();
    let bytes = format!(
        "{line}content-type: application/json\r\ncontent-length: {length}\r\n{others}\r\n{body}"
    );

    Some(Replacement {
        bytes: bytes.into_bytes(),
        written: 0,
        stands_for: answer.len(),
    })
}

impl<T: AsyncWrite + Unpin> HeadErrors<T> {
    /// Writes the replacement, and then reports hyper's answer as written.
    fn poll_replacement(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize>> {
        while let Some(replacement) = &mut self.replacement {
            let left = &replacement.bytes[replacement.written..];
            if left.is_empty() {
                let stands_for = replacement.stands_for;
                self.replacement = None;
                return Poll::Ready(Ok(stands_for));
            }

            let written = ready!(Pin::new(&mut self.connection).poll_write(cx, left))?;
            if written == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }

            replacement.written += written;
        }

        Poll::Ready(Ok(0))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for HeadErrors<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.connection).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for HeadErrors<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        if self.replacement.is_none() {
            self.replacement = replacement(bytes);
        }

        if self.replacement.is_some() {
            return self.poll_replacement(cx);
        }

        Pin::new(&mut self.connection).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        // hyper writes its own answer as one slice. Other slices may be empty.
        let mut filled = slices.iter().filter(|slice| !slice.is_empty());
        let only = filled.next().filter(|_| filled.next().is_none());

        if self.replacement.is_none() {
            self.replacement = only.and_then(|slice| replacement(slice));
        }

        if self.replacement.is_some() {
            return self.poll_replacement(cx);
        }

        Pin::new(&mut self.connection).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Returns what arrives at the other end of a connection that takes a few bytes at a time.
    async fn arrived(answer: &[u8]) -> String {
        let (here, mut there) = tokio::io::duplex(7);
        let mut here = HeadErrors::new(here);
        let send = async {
            here.write_all(answer).await.unwrap();
            here.shutdown().await.unwrap();
        };

        let mut bytes = Vec::new();
        let (_, read) = tokio::join!(send, there.read_to_end(&mut bytes));
        read.unwrap();

        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn a_bare_refusal_of_a_head_gets_the_envelope() {
        for (line, why) in ANSWERS {
            let bare = format!("{line}connection: close\r\ncontent-length: 0\r\ndate: now\r\n\r\n");
            let arrived = arrived(bare.as_bytes()).await;
            let (head, body) = arrived.split_once("\r\n\r\n").unwrap();

            assert!(head.starts_with(line.trim_end()), "{head}");
            assert!(
                head.contains("content-type: application/json\r\n"),
                "{head}"
            );

            assert!(
                head.contains(&format!("content-length: {}\r\n", body.len())),
                "{head}"
            );

            assert!(head.contains("connection: close\r\ndate: now"), "{head}");

            let json: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(
                json,
                json!({ "status": "error", "errorType": "bad_data", "error": why })
            );
        }
    }

    #[tokio::test]
    async fn all_else_passes_as_it_is() {
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 414 URI Too Long\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 414 URI Too Long\r\n",
        ] {
            assert_eq!(arrived(answer.as_bytes()).await, answer);
        }
    }
}
