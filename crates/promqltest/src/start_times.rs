//! The line `metric@st ..` of a load: the start times of counters.

use duramen_model::duration::parse_ms;

use crate::sequence::{extend, repeated};

/// Reads start times, in milliseconds relative to the times of the samples. `None` if it is
/// unknown.
pub(crate) fn offsets(text: &str) -> Result<Vec<Option<i64>>, String> {
    let mut out = Vec::new();

    for item in text.split_whitespace() {
        let (base, times) = repeated(item)?;

        if base == "_" {
            match times {
                Some(0) => return Err("a gap of no slots".to_owned()),
                times => extend(&mut out, times.unwrap_or(1), || None)?,
            }

            continue;
        }

        let inside = base
            .char_indices()
            .skip(1)
            .find(|(_, c)| matches!(c, '+' | '-'))
            .map(|(at, _)| at);

        let (mut offset_ms, by_ms) = match inside {
            Some(_) if times.is_none() => {
                return Err(format!("an increment without repetitions: {item:?}"));
            }
            Some(at) => (signed_ms(&base[..at])?, signed_ms(&base[at..])?),
            None => (signed_ms(base)?, 0),
        };

        extend(&mut out, times.map_or(1, |times| times + 1), || {
            let current = offset_ms;
            offset_ms = offset_ms.saturating_add(by_ms);
            Some(current)
        })?;
    }

    Ok(out)
}

/// Reads a duration with an optional sign.
pub(crate) fn signed_ms(text: &str) -> Result<i64, String> {
    let (sign, digits) = match text.split_at_checked(1) {
        Some(("-", digits)) => (-1, digits),
        Some(("+", digits)) => (1, digits),
        _ => (1, text),
    };

    Ok(sign * parse_ms(digits).map_err(|error| error.to_string())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_step_and_have_gaps() {
        assert_eq!(
            offsets("_ -1mx1 _x2").unwrap(),
            [None, Some(-60_000), Some(-60_000), None, None]
        );

        assert_eq!(
            offsets("0s-59999msx1 1s+1sx1").unwrap(),
            [Some(0), Some(-59_999), Some(1_000), Some(2_000)]
        );

        for text in ["1", "1s+1s", "1sx", "_x0", "-", "é"] {
            assert!(offsets(text).is_err(), "{text}");
        }
    }
}
