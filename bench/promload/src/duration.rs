//! Durations as people write them: `15s`, `5m`, `24h`.

use anyhow::{Context, Result, bail};

/// Milliseconds of a whole number with a unit of ms, s, m, h, d or w; a number alone is seconds.
pub(crate) fn parse_ms(text: &str) -> Result<i64> {
    let (digits, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );

    let unit_ms = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => bail!("duration of an unknown unit. duration=`{text}`"),
    };

    let number: Option<i64> = digits.parse().ok();
    number
        .and_then(|n| n.checked_mul(unit_ms))
        .with_context(|| format!("not a duration. duration=`{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_honoured_and_nonsense_is_refused() {
        assert_eq!(
            ["7ms", "7", "7s", "2m", "1h", "1d", "1w"].map(|d| parse_ms(d).unwrap()),
            [7, 7000, 7000, 120_000, 3_600_000, 86_400_000, 604_800_000]
        );

        for bad in ["", "h", "1y", "1h30m", "-1h", "9223372036854775807w"] {
            assert!(parse_ms(bad).is_err(), "{bad}");
        }
    }
}
