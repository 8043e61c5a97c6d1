//! The values of a series line: floats, histograms, gaps, and their repetitions.

use duramen_model::{FloatHistogram, STALE_NAN};

use crate::histogram::Written;
use crate::item::Item;
use crate::number::number;

/// The largest number of values in one line.
pub(crate) const VALUES_MAX: usize = 1_000_000;

/// Reads the values of a line. A gap is `None`.
pub(crate) fn items(text: &str) -> Result<Vec<Option<Item>>, String> {
    let mut out = Vec::new();
    for item in split(text) {
        if item.starts_with("{{") {
            histograms(item, &mut out)?
        } else {
            floats(item, &mut out)?
        }
    }

    Ok(out)
}

/// Splits the text at spaces outside of histograms.
fn split(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut depth = 0i64;
    let mut start = None;

    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }

        if c.is_whitespace() && depth <= 0 {
            out.extend(start.take().map(|start: usize| &text[start..at]));
        } else if start.is_none() {
            start = Some(at);
        }
    }

    out.extend(start.map(|start| &text[start..]));
    out
}

/// Splits `axN` into `a` and `N`; `N` is `None` if there is no `x`. Hexadecimal numbers are not
/// supported, so every `x` means a repetition.
pub(crate) fn repeated(item: &str) -> Result<(&str, Option<usize>), String> {
    let Some((base, times)) = item.rsplit_once('x') else {
        return Ok((item, None));
    };
    let times: usize = times
        .parse()
        .map_err(|_| format!("no number of repetitions: {item:?}"))?;

    if times >= VALUES_MAX {
        return Err(format!("too many values. values_max=`{VALUES_MAX}`"));
    }

    Ok((base, Some(times)))
}

/// Appends `count` values that `next` returns.
pub(crate) fn extend<T>(
    out: &mut Vec<T>,
    count: usize,
    next: impl FnMut() -> T,
) -> Result<(), String> {
    if out.len() + count > VALUES_MAX {
        return Err(format!("too many values. values_max=`{VALUES_MAX}`"));
    }

    out.extend(std::iter::repeat_with(next).take(count));
    Ok(())
}

fn floats(item: &str, out: &mut Vec<Option<Item>>) -> Result<(), String> {
    let (base, times) = repeated(item)?;
    if base == "_" {
        return match times {
            Some(0) => Err("a gap of no slots".to_owned()),
            times => extend(out, times.unwrap_or(1), || None),
        };
    }

    let values = times.map_or(1, |times| times + 1);
    if base == "stale" {
        return extend(out, values, || Some(Item::Float(STALE_NAN)));
    }

    let (start, increment) = match sign_inside(base) {
        Some(_) if times.is_none() => {
            return Err(format!("an increment without repetitions: {item:?}"));
        }
        Some(at) => (number(&base[..at])?, Some(number(&base[at..])?)),
        None => (number(base)?, None),
    };

    let mut value = start;
    extend(out, values, || {
        let current = value;
        value += increment.unwrap_or(0.0);
        Some(Item::Float(if increment.is_some() {
            current
        } else {
            start
        }))
    })
}

/// Returns the position of the sign of an increment. It is not at the first character and not part
/// of an exponent.
fn sign_inside(base: &str) -> Option<usize> {
    let signs = base
        .char_indices()
        .skip(1)
        .filter(|(_, c)| matches!(c, '+' | '-'));

    signs
        .map(|(at, _)| at)
        .find(|&at| !base[..at].ends_with(['e', 'E']))
}

/// Reads the increment of a repeated histogram: its sign and the histogram to add or subtract.
fn increment<'a>(
    item: &str,
    step: &'a str,
    is_repeated: bool,
) -> Result<Option<(&'a str, FloatHistogram)>, String> {
    match step.split_at_checked(1) {
        None if step.is_empty() => Ok(None),
        Some(_) if !is_repeated => Err(format!("an increment without repetitions: {item:?}")),
        Some((sign @ ("+" | "-"), text)) => {
            let text = text
                .strip_prefix("{{")
                .and_then(|text| text.strip_suffix("}}"))
                .ok_or_else(|| unfinished(item))?;

            Ok(Some((sign, Written::parse(text)?.histogram)))
        }
        _ => Err(format!("no increment: {step:?}")),
    }
}

fn unfinished(item: &str) -> String {
    format!("a histogram without an end: {item:?}")
}

fn histograms(item: &str, out: &mut Vec<Option<Item>>) -> Result<(), String> {
    let (text, rest) = item[2..].split_once("}}").ok_or_else(|| unfinished(item))?;
    let Written {
        mut histogram,
        hint_set,
    } = Written::parse(text)?;

    let (step, times) = if rest.is_empty() {
        ("", None)
    } else {
        repeated(rest)?
    };

    let by = increment(item, step, times.is_some())?;
    if by
        .as_ref()
        .is_some_and(|(_, by)| histogram.schema > by.schema)
    {
        return Err("the increment has a coarser schema".to_owned());
    }

    let hint = histogram.hint;
    let mut failed = None;

    extend(out, times.map_or(1, |times| times + 1), || {
        let current = histogram.clone();

        if let Some((sign, by)) = &by {
            let done = if *sign == "-" {
                histogram.subtract(by)
            } else {
                histogram.add(by)
            };

            failed = failed.take().or_else(|| done.err());
            histogram.compact();

            if hint_set {
                histogram.hint = hint;
            }
        }

        Some(Item::Histogram {
            histogram: Box::new(current),
            hint_set,
        })
    })?;

    failed.map_or(Ok(()), |_| {
        Err("histograms of exponential and of custom buckets are not added".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let items = items(text).unwrap();
        let item = |item: &Option<Item>| {
            item.as_ref()
                .map_or_else(|| "_".to_owned(), ToString::to_string)
        };

        items.iter().map(item).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_repetition_adds_to_the_first_value_and_a_gap_has_as_many_slots_as_it_says() {
        assert_eq!(written("1  2x2 _ _x2 stale"), "1 2 2 2 _ _ _ stale");
        assert_eq!(
            written("0+10x2 1e1-1e-1x1 -1-2x1 5m 0x2"),
            "0 10 20 10 9.9 -1 -3 300 0 0 0"
        );

        assert_eq!(
            written("Inf -Inf+1x1 NaN stalex1"),
            "inf -inf -inf NaN stale stale"
        );
    }

    #[test]
    fn histograms_are_counted_up_and_down() {
        assert_eq!(
            written(
                "{{schema:1 count:3 sum:2 buckets:[1 2]}}+{{schema:1 count:1 sum:1 offset:1 buckets:[1]}}x1"
            ),
            "{{schema:1 count:3 sum:2 offset:0 buckets:[1 2]}} {{schema:1 count:4 sum:3 offset:0 buckets:[1 3]}}"
        );

        assert_eq!(written("{{}}x1 {{count:1}}").matches("{{").count(), 3);
    }

    #[test]
    fn what_is_no_sequence_is_said() {
        for (text, reason) in [
            ("1xx", "no number of repetitions"),
            ("_x0", "no slots"),
            ("1+2", "an increment without repetitions"),
            ("1x1000000", "too many values"),
            ("1x999999 1x999998", "too many values"),
            ("a", "no number"),
            ("{{schema:1", "without an end"),
            ("{{}}*{{}}x2", "no increment"),
            ("{{}}+{{}}", "an increment without repetitions"),
            ("{{}}éx2", "no increment"),
            ("{{schema:2}}+{{schema:1}}x1", "coarser"),
            ("{{schema:-53 custom_values:[1]}}-{{}}x1", "not added"),
        ] {
            let error = items(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
