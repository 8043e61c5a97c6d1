//! Decodes `aws-chunked` bodies: pieces, each with a signature, inside of an ordinary HTTP body.

use bytes::{Buf, Bytes, BytesMut};

/// Decodes an `aws-chunked` body: repeated `hex-size[;chunk-signature=..]\r\n data \r\n`, ended by
/// a piece of size zero and perhaps trailers. Signatures and trailers are not verified.
///
/// Returns `None` if the body does not have this form or ends before its last piece.
pub(super) fn decode(mut body: Bytes) -> Option<Bytes> {
    let mut payload = BytesMut::with_capacity(body.len());

    loop {
        let line_end = body.windows(2).position(|pair| pair == b"\r\n")?;
        let line = std::str::from_utf8(&body[..line_end]).ok()?;
        let size = line.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;

        body.advance(line_end + 2);
        if size == 0 {
            return Some(payload.freeze());
        }

        if body.len() < size.checked_add(2)? || &body[size..size + 2] != b"\r\n" {
            return None;
        }

        payload.extend_from_slice(&body[..size]);
        body.advance(size + 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &'static [u8], expected: Option<&'static [u8]>) {
        assert_eq!(decode(Bytes::from_static(body)).as_deref(), expected);
    }

    #[test]
    fn pieces_are_joined_and_signatures_left_out() {
        check(
            b"5;chunk-signature=aa\r\nhello\r\nA\r\n, chunked!\r\n0;chunk-signature=bb\r\nx-amz-checksum-crc32:AAAA\r\n\r\n",
            Some(b"hello, chunked!"),
        );

        check(b"0\r\n\r\n", Some(b""));
    }

    #[test]
    fn a_body_that_stops_short_is_refused() {
        check(b"5\r\nhell", None);
        check(b"5\r\nhello\r\n", None);
        check(b"5\r\nhelloX", None);
        check(b"zz\r\n", None);
        check(b"ffffffffffffffff\r\n", None);
        check(b"", None);
    }
}
