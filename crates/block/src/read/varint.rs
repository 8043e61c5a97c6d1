//! Integers of variable length, as Parquet's encodings and Thrift have them.

use parquet::errors::{ParquetError, Result};

/// The error of bytes that no writer of the format makes.
pub(crate) fn malformed(what: &'static str) -> ParquetError {
    ParquetError::General(what.to_owned())
}

/// Takes a ULEB128 integer off the front of `input`.
pub(crate) fn unsigned(input: &mut &[u8]) -> Result<u64> {
    let mut value = 0;

    for shift in (0..u64::BITS).step_by(7) {
        let byte = byte(input)?;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            break;
        }

        value |= bits << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }

    Err(malformed("an integer has more than 64 bits"))
}

/// Takes a zigzag integer off the front of `input`.
pub(crate) fn signed(input: &mut &[u8]) -> Result<i64> {
    let value = unsigned(input)?;
    Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}

/// Takes one byte off the front of `input`.
pub(crate) fn byte(input: &mut &[u8]) -> Result<u8> {
    let (first, rest) = input.split_first().ok_or_else(cut)?;
    *input = rest;
    Ok(*first)
}

/// Takes `length` bytes off the front of `input`.
pub(crate) fn bytes<'a>(input: &mut &'a [u8], length: usize) -> Result<&'a [u8]> {
    let (taken, rest) = input.split_at_checked(length).ok_or_else(cut)?;
    *input = rest;
    Ok(taken)
}

fn cut() -> ParquetError {
    malformed("a page ends in the middle of a value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_64_bits_are_read_and_longer_ones_refused() {
        let all_ones = [[0xff; 9].as_slice(), &[1]].concat();
        let check = |bytes: &[u8], expected| {
            let mut rest = bytes;
            assert_eq!(unsigned(&mut rest).ok(), expected, "{bytes:?}");
        };

        check(&[0], Some(0));
        check(&[0x80, 1], Some(128));
        check(&all_ones, Some(u64::MAX));
        check(&[[0xff; 9].as_slice(), &[2]].concat(), None);
        check(&[0x80; 11], None);
        check(&[0x80], None);
        check(&[], None);

        assert_eq!(signed(&mut &all_ones[..]).unwrap(), i64::MIN);
        assert_eq!(signed(&mut &[3][..]).unwrap(), -2);
    }
}
