//! A small blocking HTTP/1.1 client with keep-alive. Plain TCP only: no TLS, no compression.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// An answer that takes longer than this is an error.
const TIMEOUT: Duration = Duration::from_secs(600);
/// An answer larger than this is an error.
const BODY_BYTES_MAX: u64 = 4 << 30;

/// An `http://` address: `path` is without a final slash when the API is below it.
#[derive(Clone, Debug)]
pub(crate) struct Url {
    pub(crate) host: String,
    pub(crate) path: String,
}

impl std::str::FromStr for Url {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let rest = text
            .strip_prefix("http://")
            .context("only http:// addresses are understood")?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        ensure!(!host.is_empty(), "address without a host");

        let host = if host.contains(':') {
            host.to_owned()
        } else {
            format!("{host}:80")
        };

        Ok(Self {
            host,
            path: path.to_owned(),
        })
    }
}

/// Percent-encodes a value of a query string.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }

    out
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// One connection to one host, opened when it is needed.
#[derive(Debug)]
pub(crate) struct Client {
    host: String,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(crate) fn new(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            connection: None,
        }
    }

    pub(crate) fn get(&mut self, path: &str) -> Result<Response> {
        self.request("GET", path, "", b"")
    }

    /// `headers` are whole lines, each ended by CR LF.
    ///
    /// A request that fails on a connection used before is sent once more on a new one, since the
    /// server may have closed it in between; a receiver may thus see a request twice. Other
    /// failures are the caller's to retry.
    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> Result<Response> {
        if let Some(connection) = self.connection.take()
            && let Ok(response) = self.exchange(connection, method, path, headers, body)
        {
            return Ok(response);
        }

        let connection = self.connect()?;
        self.exchange(connection, method, path, headers, body)
    }

    fn connect(&self) -> Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(&self.host)
            .with_context(|| format!("connect. host=`{}`", self.host))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;

        Ok(BufReader::with_capacity(1 << 16, stream))
    }

    /// The connection is kept for the next request when the answer allows it, and dropped on an
    /// error.
    fn exchange(
        &mut self,
        mut connection: BufReader<TcpStream>,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> Result<Response> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: promload\r\n{headers}Content-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );

        connection.get_mut().write_all(head.as_bytes())?;
        connection.get_mut().write_all(body)?;

        let head = Head::read(&mut connection)?;
        let (body, ended_by_close) = head.read_body(&mut connection)?;

        if !head.close && !ended_by_close {
            self.connection = Some(connection);
        }

        Ok(Response {
            status: head.status,
            body,
        })
    }
}

/// The fields of an answer's head that say where its body ends.
struct Head {
    status: u16,
    length: Option<u64>,
    chunked: bool,
    close: bool,
}

impl Head {
    fn read(input: &mut impl BufRead) -> Result<Self> {
        let first = read_line(input)?;
        let status = first
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .context("answer without a status")?;

        let mut head = Self {
            status,
            length: None,
            chunked: false,
            close: false,
        };

        loop {
            let line = read_line(input)?;
            if line.is_empty() {
                return Ok(head);
            }

            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();

            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.length = Some(value.parse()?),
                "transfer-encoding" => head.chunked = value.eq_ignore_ascii_case("chunked"),
                "connection" => head.close = value.eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
    }

    /// The body, and whether it was ended by the end of the connection.
    fn read_body(&self, input: &mut impl BufRead) -> Result<(Vec<u8>, bool)> {
        let mut body = vec![];
        if self.chunked {
            while read_chunk(input, &mut body)? {}
            return Ok((body, false));
        }

        if let Some(length) = self.length {
            read_exactly(input, length, &mut body)?;
            return Ok((body, false));
        }

        if matches!(self.status, 204 | 304) {
            return Ok((body, false));
        }

        input.take(BODY_BYTES_MAX).read_to_end(&mut body)?;
        Ok((body, true))
    }
}

/// A line without its end.
fn read_line(input: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    let read = input.take(1 << 16).read_line(&mut line)?;
    ensure!(read > 0, "connection closed by the server");

    Ok(line.trim_end().to_owned())
}

/// Appends one chunk; false after the last one.
fn read_chunk(input: &mut impl BufRead, body: &mut Vec<u8>) -> Result<bool> {
    let line = read_line(input)?;
    let digits = line.split(';').next().unwrap_or_default().trim();
    let length = u64::from_str_radix(digits, 16).context("chunk without a length")?;

    read_exactly(input, length, body)?;
    read_line(input)?;
    Ok(length > 0)
}

fn read_exactly(input: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> Result<()> {
    ensure!(
        body.len() as u64 + length.min(BODY_BYTES_MAX) < BODY_BYTES_MAX,
        "answer too large"
    );

    let read = input.take(length).read_to_end(body)? as u64;
    ensure!(
        read == length,
        "answer cut short. expected=`{length}`, actual=`{read}`"
    );

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: &str) -> Result<(u16, String, bool)> {
        let mut input = answer.as_bytes();
        let head = Head::read(&mut input)?;
        let (body, ended_by_close) = head.read_body(&mut input)?;

        Ok((head.status, String::from_utf8(body)?, ended_by_close))
    }

    #[test]
    fn a_body_ends_where_the_head_says() {
        let cases = [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd",
                (200, "abc", false),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n",
                (200, "abcde", false),
            ),
            ("HTTP/1.1 204 No Content\r\n\r\nabc", (204, "", false)),
            ("HTTP/1.1 500 Oh\r\n\r\nabc", (500, "abc", true)),
        ];

        for (answer, (status, body, ended_by_close)) in cases {
            assert_eq!(
                read(answer).unwrap(),
                (status, body.to_owned(), ended_by_close),
                "{answer}"
            );
        }
    }

    #[test]
    fn answers_cut_short_are_errors() {
        let answers = [
            "",
            "nonsense\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ];

        for answer in answers {
            assert!(read(answer).is_err(), "{answer}");
        }
    }

    #[test]
    fn urls_have_a_port_and_a_path() {
        let url: Url = "http://h/a/b".parse().unwrap();
        assert_eq!((url.host.as_str(), url.path.as_str()), ("h:80", "/a/b"));

        let url: Url = "http://h:1".parse().unwrap();
        assert_eq!((url.host.as_str(), url.path.as_str()), ("h:1", ""));
        assert!("https://h".parse::<Url>().is_err());
    }
}
