//! Snappy block format, with its declared length checked before a byte is allocated.

use crate::Error;

/// How many bytes `body` declares to hold: at most `decoded_bytes_max`, and no more than it can. No allocation.
pub fn declared_bytes(body: &[u8], decoded_bytes_max: usize) -> Result<usize, Error> {
    let declared = snap::raw::decompress_len(body).map_err(refused)?;
    if declared > decoded_bytes_max {
        return Err(Error::DecodedTooLarge { declared, max: decoded_bytes_max });
    }
    // An element of the format makes at most 64 bytes out of two, so a body can not honestly declare more than this; asking
    // for the memory only then keeps a small body from taking a large buffer.
    if declared > body.len().saturating_mul(32) {
        return Err(Error::Snappy { reason: format!("it declares {declared} bytes and has {}", body.len()) });
    }
    Ok(declared)
}

/// Decodes `body`, refusing what [`declared_bytes`] refuses. Memory: one allocation of the declared size.
pub fn decompress(body: &[u8], decoded_bytes_max: usize) -> Result<Vec<u8>, Error> {
    declared_bytes(body, decoded_bytes_max)?;
    snap::raw::Decoder::new().decompress_vec(body).map_err(refused)
}

fn refused(error: snap::Error) -> Error {
    Error::Snappy { reason: error.to_string() }
}

/// Encodes `body` as one block.
///
/// # Panics
/// When `body` has 4 GiB or more, which our own requests never have.
pub fn compress(body: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(body).expect("a body of ours is below the format's 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_length_of_four_gigabytes_is_refused_by_its_declaration() {
        let body = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
        let error = decompress(&body, 32 << 20).unwrap_err();
        assert_eq!(error, Error::DecodedTooLarge { declared: 0xffff_ffff, max: 32 << 20 });
    }

    #[test]
    fn a_small_body_does_not_get_a_large_buffer() {
        // Declares 16 MiB and has nothing behind.
        let body = [0x80, 0x80, 0x80, 0x08];
        assert!(matches!(decompress(&body, 32 << 20), Err(Error::Snappy { .. })));
    }

    #[test]
    fn the_densest_honest_body_is_decoded() {
        let zeros = vec![0; 8 << 20];
        assert_eq!(decompress(&compress(&zeros), 32 << 20).unwrap(), zeros);
    }

    #[test]
    fn garbage_is_refused() {
        for body in [&b""[..], b"\x05abc", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x03\xfe\x00\x00"] {
            assert!(decompress(body, 1 << 20).is_err(), "{body:?}");
        }
    }
}
