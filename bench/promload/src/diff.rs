//! Asks two servers the same queries and compares the answers.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::answer::Answer;
use crate::http::{Client, Url};
use crate::query_file::Selection;

/// Differences smaller than this are none, whatever the tolerance.
const ABSOLUTE_TOLERANCE: f64 = 1e-12;
const MESSAGES_SHOWN_MAX: usize = 3;
const MESSAGE_CHARS_MAX: usize = 260;

/// The differences between two answers to one query.
#[derive(Debug, Default)]
struct Differences {
    count: usize,
    /// The first few, in words.
    messages: Vec<String>,
}

impl Differences {
    fn add(&mut self, count: usize, message: impl FnOnce() -> String) {
        self.count += count;
        if self.messages.len() < MESSAGES_SHOWN_MAX {
            self.messages
                .push(message().chars().take(MESSAGE_CHARS_MAX).collect());
        }
    }
}

/// Prints a line for each query; true when all answers are equal within the relative `tolerance`.
pub(crate) fn run(a: &Url, b: &Url, selection: &Selection, tolerance: f64) -> Result<bool> {
    let queries = selection.load()?;
    let mut client_a = Client::new(&a.host);
    let mut client_b = Client::new(&b.host);
    let mut different = 0;

    for query in &queries {
        let answer_a = Answer::parse(&client_a.get(&(a.path.clone() + &query.path))?.body);
        let answer_b = Answer::parse(&client_b.get(&(b.path.clone() + &query.path))?.body);

        let (answer_a, answer_b) = match (answer_a, answer_b) {
            (Ok(a), Ok(b)) => (a, b),
            (a, b) => {
                let words = |r: Result<Answer>| {
                    r.map_or_else(|error| format!("{error:#}"), |_| "ok".to_owned())
                };
                println!("ERR  {:28} a: {} b: {}", query.name, words(a), words(b));
                different += 1;
                continue;
            }
        };

        let differences = compare(&answer_a, &answer_b, tolerance);
        let verdict = if differences.count == 0 {
            "ok  "
        } else {
            "DIFF"
        };

        let series_a = answer_a.series.len();
        let series_b = answer_b.series.len();
        let points = answer_a.points();

        println!(
            "{verdict} {:28} series {series_a}/{series_b} points {points} mismatches {}",
            query.name, differences.count
        );

        differences
            .messages
            .iter()
            .for_each(|message| println!("       {message}"));

        different += usize::from(differences.count > 0);
    }

    println!("{different} of {} queries differ", queries.len());
    Ok(different == 0)
}

fn compare(a: &Answer, b: &Answer, tolerance: f64) -> Differences {
    let mut differences = Differences::default();
    for (key, points) in &a.series {
        match b.series.get(key) {
            Some(others) => compare_points(key, points, others, tolerance, &mut differences),
            None => differences.add(1, || format!("only in a: {{{key}}}")),
        }
    }

    for key in b.series.keys().filter(|key| !a.series.contains_key(*key)) {
        differences.add(1, || format!("only in b: {{{key}}}"));
    }

    differences
}

fn compare_points(
    key: &str,
    a: &[(i64, f64)],
    b: &[(i64, f64)],
    tolerance: f64,
    differences: &mut Differences,
) {
    let by_time: BTreeMap<i64, f64> = b.iter().copied().collect();
    for (ts_ms, value) in a {
        match by_time.get(ts_ms) {
            Some(other) if close(*value, *other, tolerance) => {}
            other => differences.add(1, || format!("{{{key}}} @{ts_ms}: a {value} b {other:?}")),
        }
    }

    if b.len() > a.len() {
        let more = b.len() - a.len();
        differences.add(more, || format!("{{{key}}}: b has {more} more points"));
    }
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    let difference = (a - b).abs();
    a.to_bits() == b.to_bits()
        || (a.is_nan() && b.is_nan())
        || (difference.is_finite() && difference <= tolerance * a.abs().max(b.abs()))
        || difference < ABSOLUTE_TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(points: &[(i64, f64)]) -> Answer {
        Answer {
            series: BTreeMap::from([("x".to_owned(), points.to_vec())]),
        }
    }

    #[test]
    fn missing_more_and_other_points_are_counted() {
        let a = answer(&[(1, 1.0), (2, 2.0)]);
        let count = |points: &[(i64, f64)]| compare(&a, &answer(points), 1e-9).count;

        assert_eq!(count(&[(1, 1.0), (2, 2.0 + 1e-10)]), 0);
        assert_eq!(count(&[(1, 1.0), (2, 2.1)]), 1);
        assert_eq!(count(&[(1, 1.0)]), 1);
        assert_eq!(count(&[(1, 1.0), (2, 2.0), (3, 3.0)]), 1);
        assert_eq!(compare(&a, &Answer::default(), 0.0).count, 1);
        assert_eq!(compare(&Answer::default(), &a, 0.0).count, 1);
    }

    #[test]
    fn infinity_is_close_to_itself_only() {
        assert!(close(f64::INFINITY, f64::INFINITY, 1e-9));
        assert!(!close(f64::INFINITY, f64::NEG_INFINITY, 1e-9));
        assert!(!close(f64::INFINITY, 1.0, 1e-9));

        assert!(close(
            f64::NAN,
            f64::from_bits(crate::wire::STALE_NAN),
            1e-9
        ));
    }
}
