//! The natural order of texts with numbers.

use std::cmp::Ordering;

/// Compares runs of digits by their value, and everything else by bytes.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let mut a = a;
    let mut b = b;

    loop {
        let ((head_a, rest_a), (head_b, rest_b)) = match (run(a), run(b)) {
            (Some(a), Some(b)) => (a, b),
            (a, b) => return a.is_some().cmp(&b.is_some()),
        };

        let chunks = match (head_a.parse::<i64>(), head_b.parse::<i64>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            _ => head_a.cmp(head_b),
        };

        if chunks.is_ne() {
            return chunks;
        }

        (a, b) = (rest_a, rest_b);
    }
}

/// Returns the first run of digits or of other characters, and the rest.
fn run(text: &str) -> Option<(&str, &str)> {
    let first = text.chars().next()?;
    let end = text
        .find(|c: char| c.is_ascii_digit() != first.is_ascii_digit())
        .unwrap_or(text.len());
    Some(text.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value() {
        let sorted = [
            "", "1.2.3", "1.11.3", "1.111.3", "4m5", "4m600", "4m1000", "a", "a1", "b",
        ];
        assert!(sorted.is_sorted_by(|a, b| compare(a, b).is_lt()));
    }
}
