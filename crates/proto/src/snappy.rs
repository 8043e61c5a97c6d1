//! The snappy block format. The declared length is checked before anything is allocated.

use crate::Error;
use crate::wire::Fields;

/// The decoded size that `body` declares. Sizes over `decoded_bytes_max`, or larger than the body
/// can hold, are refused. It allocates nothing.
pub fn declared_bytes(body: &[u8], decoded_bytes_max: usize) -> Result<usize, Error> {
    let declared = snap::raw::decompress_len(body).map_err(|error| refused(body, &error))?;

    if declared > decoded_bytes_max {
        // In another format, the first bytes declare an arbitrary length.
        if let Some(reason) = mistaken(body) {
            return Err(Error::Snappy { reason });
        }

        return Err(Error::DecodedTooLarge {
            declared,
            max: decoded_bytes_max,
        });
    }

    // An element of the format makes at most 64 bytes out of two, so a valid body cannot declare
    // more than this. With this check a small body cannot take a large buffer.
    if declared > body.len().saturating_mul(32) {
        let reason = mistaken(body)
            .unwrap_or_else(|| format!("it declares {declared} bytes and has {}", body.len()));
        return Err(Error::Snappy { reason });
    }

    Ok(declared)
}

/// Decodes `body`, and refuses what [`declared_bytes`] refuses. It makes one allocation of the
/// declared size.
pub fn decompress(body: &[u8], decoded_bytes_max: usize) -> Result<Vec<u8>, Error> {
    declared_bytes(body, decoded_bytes_max)?;
    snap::raw::Decoder::new()
        .decompress_vec(body)
        .map_err(|error| refused(body, &error))
}

/// Decodes `body` like [`decompress`], into the first bytes of `buffer`, and returns how many. The
/// buffer grows to the declared size if it is shorter; what it has behind that stays.
pub fn decompress_into(
    body: &[u8],
    decoded_bytes_max: usize,
    buffer: &mut Vec<u8>,
) -> Result<usize, Error> {
    let declared = declared_bytes(body, decoded_bytes_max)?;
    if buffer.len() < declared {
        // What it has need not be copied.
        buffer.clear();
        buffer.resize(declared, 0);
    }

    let written = snap::raw::Decoder::new()
        .decompress(body, &mut buffer[..declared])
        .map_err(|error| refused(body, &error))?;

    Ok(written)
}

fn refused(body: &[u8], error: &snap::Error) -> Error {
    Error::Snappy {
        reason: mistaken(body).unwrap_or_else(|| error.to_string()),
    }
}

/// The first bytes of formats that senders confuse with snappy blocks.
const MAGIC: [(&[u8], &str); 4] = [
    (
        b"\xff\x06\x00\x00sNaPpY",
        "framed snappy (the stream format)",
    ),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x1f\x8b", "gzip"),
    (b"\x04\x22\x4d\x18", "lz4"),
];

/// The reason for the error if the bytes show that the body has another format.
fn mistaken(body: &[u8]) -> Option<String> {
    if let Some((_, format)) = MAGIC.iter().find(|(magic, _)| body.starts_with(magic)) {
        return Some(format!("it begins as {format} does"));
    }

    is_message(body).then(|| "it is a protobuf message that is not compressed".to_owned())
}

/// Whether the whole body is valid protobuf, and its first field belongs to one of the messages
/// that we read.
fn is_message(body: &[u8]) -> bool {
    let mut fields = Fields::new("", body);
    let mut is_first = true;

    loop {
        match fields.next_field() {
            Ok(Some((number, _))) if number <= 5 || !is_first => is_first = false,
            Ok(None) => return !is_first,
            Ok(Some(_)) | Err(_) => return false,
        }
    }
}

/// Encodes `body` as one block.
///
/// # Panics
/// When `body` has 4 GiB or more. Our own requests never do.
pub fn compress(body: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new()
        .compress_vec(body)
        .expect("a body of ours is below the format's 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_length_of_four_gigabytes_is_refused_by_its_declaration() {
        let body = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
        let error = decompress(&body, 32 << 20).unwrap_err();

        assert_eq!(
            error,
            Error::DecodedTooLarge {
                declared: 0xffff_ffff,
                max: 32 << 20
            }
        );
    }

    #[test]
    fn a_small_body_does_not_get_a_large_buffer() {
        // It declares 16 MiB, and nothing follows.
        let body = [0x80, 0x80, 0x80, 0x08];
        assert!(matches!(
            decompress(&body, 32 << 20),
            Err(Error::Snappy { .. })
        ));
    }

    #[test]
    fn the_densest_honest_body_is_decoded() {
        let zeros = vec![0; 8 << 20];
        assert_eq!(decompress(&compress(&zeros), 32 << 20).unwrap(), zeros);
    }

    #[test]
    fn a_buffer_takes_bodies_of_all_lengths_one_after_the_other() {
        let mut buffer = Vec::new();

        for length in [3, 100, 0, 99, 2000, 7] {
            let message = vec![b'x'; length];
            let written = decompress_into(&compress(&message), 1 << 20, &mut buffer).unwrap();

            assert_eq!(buffer[..written], message);
        }

        assert_eq!(buffer.len(), 2000);
        assert!(decompress_into(b"\x05abc", 1 << 20, &mut buffer).is_err());
    }

    #[test]
    fn what_is_another_format_is_called_by_its_name() {
        let framed = b"\xff\x06\x00\x00sNaPpY\x01\x05\x00\x00aaaaa";
        let message = b"\x0a\x12\x0a\x10\x0a\x08__name__\x12\x04up_x";

        let cases: [(&[u8], &str); 6] = [
            (
                framed,
                "it begins as framed snappy (the stream format) does",
            ),
            (b"\x28\xb5\x2f\xfd\x04\x00\x01", "it begins as zstd does"),
            (b"\x1f\x8b\x08\x00\x00", "it begins as gzip does"),
            (b"\x04\x22\x4d\x18\x60\x40", "it begins as lz4 does"),
            (message, "it is a protobuf message that is not compressed"),
            (b"{\"streams\":[]}", "snappy: corrupt input"),
        ];

        for (body, expected) in cases {
            for decoded_bytes_max in [1, 1 << 20] {
                let error = decompress(body, decoded_bytes_max).unwrap_err();
                let names_it =
                    matches!(&error, Error::Snappy { reason } if reason.starts_with(expected));

                assert!(
                    names_it || matches!(error, Error::DecodedTooLarge { .. }),
                    "{error}"
                );
            }

            let error = decompress(body, 1 << 20).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn garbage_is_refused() {
        for body in [
            &b""[..],
            b"\x05abc",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x03\xfe\x00\x00",
        ] {
            assert!(decompress(body, 1 << 20).is_err(), "{body:?}");
        }
    }
}
