//! Answers made smaller for those who can read them: zstd, gzip or deflate, as `Accept-Encoding` says.

use std::io::Write;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::failure::Failure;

/// Answers below so many bytes fit into one packet anyway.
const BYTES_MIN: u64 = 1024;
/// Answers from here on are compressed where they keep no other request waiting.
const INLINE_BYTES_MAX: usize = 16 << 10;
/// Quickly rather than well: the API's text shrinks tenfold at any level, and the processor is wanted by queries.
const ZSTD_LEVEL: i32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Zstd,
    Gzip,
    /// As HTTP means it: with the header of zlib.
    Deflate,
}

/// Compresses an answer when it is text, in memory as a whole and not small.
pub(super) async fn compress(request: Request, next: Next) -> Result<Response, Failure> {
    let encoding = chosen(request.headers());
    let response = next.run(request).await;
    let size = response.body().size_hint().exact();
    match encoding {
        Some(encoding) if is_text(response.headers()) && size.is_some_and(|bytes| bytes >= BYTES_MIN) => {
            compressed(response, encoding).await
        }
        _ => Ok(response),
    }
}

async fn compressed(response: Response, encoding: Encoding) -> Result<Response, Failure> {
    let (mut parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.map_err(|e| Failure::internal(e.to_string()))?;
    let smaller = match body.len() {
        0..=INLINE_BYTES_MAX => encoding.encode(&body),
        _ => tokio::task::spawn_blocking(move || encoding.encode(&body)).await.map_err(std::io::Error::other).flatten(),
    };
    let smaller = smaller.map_err(|e| Failure::internal(e.to_string()))?;
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
    parts.headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    Ok(Response::from_parts(parts, Body::from(smaller)))
}

impl Encoding {
    fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    fn encode(self, body: &Bytes) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Zstd => zstd::bulk::compress(body, ZSTD_LEVEL),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(body)?;
                encoder.finish()
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(body)?;
                encoder.finish()
            }
        }
    }
}

/// The smallest of what the client takes. A weight says yes or no only; one of 0 is a no.
fn chosen(headers: &HeaderMap) -> Option<Encoding> {
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let taken: Vec<&str> = lists.flat_map(|list| list.split(',')).filter_map(taken).collect();
    let takes = |encoding: &Encoding| taken.iter().any(|name| name.eq_ignore_ascii_case(encoding.name()));
    [Encoding::Zstd, Encoding::Gzip, Encoding::Deflate].into_iter().find(takes)
}

/// The name in `gzip;q=0.5`; `None` when its weight is 0.
fn taken(entry: &str) -> Option<&str> {
    let (name, weight) = entry.split_once(';').unwrap_or((entry, ""));
    let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
    weight.is_ok_and(|weight| weight > 0.0).then_some(name.trim())
}

/// Protocol buffers are compressed by their own protocols, or must not be.
fn is_text(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let is_plain = !headers.contains_key(header::CONTENT_ENCODING);
    let texts = ["application/json", "application/yaml", "application/openmetrics-text", "text/"];
    is_plain && texts.iter().any(|text| media_type.starts_with(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_encoding_that_the_client_takes_is_chosen() {
        for (accepted, expected) in [
            ("gzip", Some(Encoding::Gzip)),
            ("deflate, gzip, br, zstd", Some(Encoding::Zstd)),
            ("gzip;q=0, deflate;q=0.1", Some(Encoding::Deflate)),
            ("GZIP ; q=1", Some(Encoding::Gzip)),
            ("br, identity", None),
            ("gzip;q=x", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted))]);
            assert_eq!(chosen(&headers), expected, "{accepted}");
        }
        assert_eq!(chosen(&HeaderMap::new()), None);
    }
}
