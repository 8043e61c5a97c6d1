//! Compression of answers for clients that accept it: zstd, gzip or deflate, as `Accept-Encoding`
//! says.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::BoxError;
use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use futures::{Stream, StreamExt};

use crate::http::answer::failure::Failure;
use crate::http::answer::pieces::PIECE_BYTES;

/// A smaller answer fits into one packet, so it is not compressed.
const BYTES_MIN: u64 = 1024;
/// An answer up to this size is compressed at once and has a length. A larger one is compressed in
/// pieces, so that other requests do not wait.
const AT_ONCE_BYTES_MAX: u64 = 16 << 10;
/// The fastest level: the API's text shrinks tenfold at any level, and queries need the processor.
const ZSTD_LEVEL: i32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Zstd,
    Gzip,
    /// With a zlib header, as HTTP defines it.
    Deflate,
}

/// Compresses an answer if it is text and not small. A body that comes in pieces goes out in
/// pieces.
pub(crate) async fn compress(request: Request, next: Next) -> Result<Response, Failure> {
    let encoding = chosen(request.headers());
    let response = next.run(request).await;
    let size = response.body().size_hint().exact();

    match encoding {
        Some(encoding)
            if is_text(response.headers()) && size.is_none_or(|bytes| bytes >= BYTES_MIN) =>
        {
            compressed(response, encoding, size).await
        }
        _ => Ok(response),
    }
}

async fn compressed(
    response: Response,
    encoding: Encoding,
    size: Option<u64>,
) -> Result<Response, Failure> {
    let (mut parts, body) = response.into_parts();
    let failed = |error: std::io::Error| Failure::internal(error.to_string());

    let smaller = if size.is_some_and(|bytes| bytes <= AT_ONCE_BYTES_MAX) {
        let body = axum::body::to_bytes(body, usize::MAX)
            .await
            .map_err(|e| Failure::internal(e.to_string()))?;
        Body::from(encoding.encode(&body).map_err(failed)?)
    } else {
        let encoder = Encoder::new(encoding).map_err(failed)?;
        Body::from_stream(Compressed {
            body: body.into_data_stream(),
            rest: Bytes::new(),
            encoder: Some(encoder),
        })
    };

    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(
        header::CONTENT_ENCODING,
        HeaderValue::from_static(encoding.name()),
    );

    parts
        .headers
        .append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    Ok(Response::from_parts(parts, smaller))
}

impl Encoding {
    const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    fn encode(self, body: &[u8]) -> std::io::Result<Vec<u8>> {
        if self == Self::Zstd {
            return zstd::bulk::compress(body, ZSTD_LEVEL);
        }

        let mut encoder = Encoder::new(self)?;
        let mut smaller = encoder.write(body)?;
        smaller.append(&mut encoder.finish()?);

        Ok(smaller)
    }
}

/// The encoder of an answer that is compressed piece by piece.
enum Encoder {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
}

impl Encoder {
    fn new(encoding: Encoding) -> std::io::Result<Self> {
        Ok(match encoding {
            Encoding::Zstd => {
                Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?)
            }
            Encoding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Encoding::Deflate => Self::Deflate(ZlibEncoder::new(Vec::new(), Compression::fast())),
        })
    }

    /// Takes a piece and returns the compressed bytes that are ready, which may be none.
    fn write(&mut self, piece: &[u8]) -> std::io::Result<Vec<u8>> {
        let ready = match self {
            Self::Zstd(encoder) => {
                encoder.write_all(piece)?;
                encoder.get_mut()
            }
            Self::Gzip(encoder) => {
                encoder.write_all(piece)?;
                encoder.get_mut()
            }
            Self::Deflate(encoder) => {
                encoder.write_all(piece)?;
                encoder.get_mut()
            }
        };

        Ok(std::mem::take(ready))
    }

    /// Returns the rest of the compressed bytes.
    fn finish(self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Deflate(encoder) => encoder.finish(),
        }
    }
}

/// The body of an answer, which is compressed as the client takes it.
struct Compressed {
    body: BodyDataStream,
    /// Bytes of the body that are not compressed yet. An answer that is in memory comes as one
    /// piece.
    rest: Bytes,
    /// `None` when all is compressed, or when the body broke off.
    encoder: Option<Encoder>,
}

impl Stream for Compressed {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();

        loop {
            let Some(encoder) = &mut this.encoder else {
                return Poll::Ready(None);
            };

            if this.rest.is_empty() {
                match ready!(this.body.poll_next_unpin(context)) {
                    Some(Ok(piece)) => this.rest = piece,
                    Some(Err(error)) => {
                        this.encoder = None;
                        return Poll::Ready(Some(Err(error.into())));
                    }
                    None => {
                        let last = this.encoder.take().map(Encoder::finish).transpose();
                        return Poll::Ready(
                            last.map_err(BoxError::from)
                                .transpose()
                                .map(|last| last.map(Bytes::from)),
                        );
                    }
                }
            }

            let piece = this.rest.split_to(this.rest.len().min(PIECE_BYTES));

            match encoder.write(&piece) {
                // The encoder keeps the bytes until more of them are ready.
                Ok(ready) if ready.is_empty() => {}
                Ok(ready) => return Poll::Ready(Some(Ok(ready.into()))),
                Err(error) => {
                    this.encoder = None;
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
        }
    }
}

/// Returns the encoding with the smallest result among those that the client accepts. A weight of 0
/// refuses an encoding; other weights are not compared.
fn chosen(headers: &HeaderMap) -> Option<Encoding> {
    let lists = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok());

    let taken: Vec<&str> = lists
        .flat_map(|list| list.split(','))
        .filter_map(taken)
        .collect();

    let takes = |encoding: &Encoding| {
        taken
            .iter()
            .any(|name| name.eq_ignore_ascii_case(encoding.name()))
    };

    [Encoding::Zstd, Encoding::Gzip, Encoding::Deflate]
        .into_iter()
        .find(takes)
}

/// Returns the name in `gzip;q=0.5`, or `None` if its weight is 0.
fn taken(entry: &str) -> Option<&str> {
    let (name, weight) = entry.split_once(';').unwrap_or((entry, ""));
    let weight = weight
        .trim()
        .strip_prefix("q=")
        .map_or(Ok(1.0), str::parse::<f32>);

    weight
        .is_ok_and(|weight| weight > 0.0)
        .then_some(name.trim())
}

/// Returns whether an answer is text. Protocol buffers are not: their protocols compress them, or
/// forbid it.
fn is_text(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");

    let is_plain = !headers.contains_key(header::CONTENT_ENCODING);
    let texts = [
        "application/json",
        "application/yaml",
        "application/openmetrics-text",
        "text/",
    ];

    is_plain && texts.iter().any(|text| media_type.starts_with(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_text_in_pieces_is_the_same_text_for_whoever_reads_it() {
        let text = "the same again, ".repeat(20_000).into_bytes();

        for encoding in [Encoding::Zstd, Encoding::Gzip, Encoding::Deflate] {
            for pieces in [1, 3, 400] {
                let pieces: Vec<_> = text
                    .chunks(text.len() / pieces)
                    .map(|piece| Ok(Bytes::copy_from_slice(piece)))
                    .collect();

                let pieces = Body::from_stream(futures::stream::iter(
                    pieces.into_iter().map(|p: std::io::Result<_>| p),
                ));
                let answer = compressed(Response::new(pieces), encoding, None)
                    .await
                    .unwrap();
                let smaller = axum::body::to_bytes(answer.into_body(), usize::MAX)
                    .await
                    .unwrap();

                assert!(smaller.len() * 10 < text.len());
                assert_eq!(decoded(encoding, &smaller), text, "{encoding:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_text_that_breaks_off_breaks_off_compressed() {
        let pieces = [
            Ok(Bytes::from(vec![b'x'; 100_000])),
            Err(std::io::Error::other("too much")),
        ];

        let pieces = Body::from_stream(futures::stream::iter(pieces));
        let answer = compressed(Response::new(pieces), Encoding::Gzip, None)
            .await
            .unwrap();

        assert!(
            axum::body::to_bytes(answer.into_body(), usize::MAX)
                .await
                .is_err()
        );
    }

    fn decoded(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
        use std::io::Read;

        let mut text = Vec::new();

        match encoding {
            Encoding::Zstd => zstd::Decoder::new(bytes)
                .unwrap()
                .read_to_end(&mut text)
                .unwrap(),
            Encoding::Gzip => flate2::read::GzDecoder::new(bytes)
                .read_to_end(&mut text)
                .unwrap(),
            Encoding::Deflate => flate2::read::ZlibDecoder::new(bytes)
                .read_to_end(&mut text)
                .unwrap(),
        };

        text
    }

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
            let headers = HeaderMap::from_iter([(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static(accepted),
            )]);
            assert_eq!(chosen(&headers), expected, "{accepted}");
        }

        assert_eq!(chosen(&HeaderMap::new()), None);
    }
}
