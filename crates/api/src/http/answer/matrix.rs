//! The series of a range query, written piece by piece. A single series may be larger than a piece.

use duramen_model::FloatHistogram;
use duramen_promql::RangeSeries;

use crate::http::answer::json::{put_histogram, put_labels, put_point};
use crate::http::answer::number::time_len;
use crate::http::answer::pieces::{Elements, Progress};

/// The series of an answer that are still to be written.
#[derive(Debug)]
pub(crate) struct Matrix {
    left: std::vec::IntoIter<RangeSeries>,
    current: Option<Current>,
    is_first: bool,
}

/// The series that is being written.
#[derive(Debug)]
struct Current {
    series: RangeSeries,
    /// How many points of the series are written.
    points: usize,
    histograms: usize,
}

impl Matrix {
    pub(crate) fn new(series: Vec<RangeSeries>) -> Self {
        Self {
            left: series.into_iter(),
            current: None,
            is_first: true,
        }
    }
}

impl Elements for Matrix {
    fn put(&mut self, out: &mut Vec<u8>, until: usize) -> Progress {
        loop {
            let current = match &mut self.current {
                Some(current) => current,
                None => {
                    let Some(series) = self.left.next() else {
                        return Progress::Done;
                    };
                    if !std::mem::take(&mut self.is_first) {
                        out.push(b',');
                    }

                    out.extend_from_slice(br#"{"metric":"#);
                    put_labels(out, &series.labels);

                    self.current.insert(Current {
                        series,
                        points: 0,
                        histograms: 0,
                    })
                }
            };

            if current.put(out, until) == Progress::More {
                return Progress::More;
            }

            self.current = None;
            if out.len() >= until && !self.left.as_slice().is_empty() {
                return Progress::More;
            }
        }
    }

    /// The labels and the points, each point with a value of one digit.
    fn bytes_min(&self) -> usize {
        let points = |series: &RangeSeries| {
            let time_bytes = series
                .points
                .first()
                .map_or(0, |(ts_ms, _)| time_len(*ts_ms));

            series.points.len() * (time_bytes + r#"[,"1"],"#.len())
        };

        self.left
            .as_slice()
            .iter()
            .map(|series| series.labels.encoded().len() + points(series))
            .sum()
    }

    /// Returns 0, because the query's own memory counts the series.
    fn held_bytes(&self) -> usize {
        0
    }
}

impl Current {
    /// Writes the part of a series after its labels.
    fn put(&mut self, out: &mut Vec<u8>, until: usize) -> Progress {
        let Self {
            series,
            points,
            histograms,
        } = self;

        let put_float =
            |out: &mut Vec<u8>, (ts_ms, value): &(i64, f64)| put_point(out, *ts_ms, *value);
        let put_held = |out: &mut Vec<u8>, (ts_ms, held): &(i64, FloatHistogram)| {
            put_histogram(out, *ts_ms, held)
        };

        if put_rest(out, until, "values", &series.points, points, put_float) == Progress::More
            || put_rest(
                out,
                until,
                "histograms",
                &series.histograms,
                histograms,
                put_held,
            ) == Progress::More
        {
            return Progress::More;
        }
        out.push(b'}');
        Progress::Done
    }
}

/// Continues a list of which `written` elements are written.
fn put_rest<T>(
    out: &mut Vec<u8>,
    until: usize,
    name: &str,
    list: &[T],
    written: &mut usize,
    put: impl Fn(&mut Vec<u8>, &T),
) -> Progress {
    if *written == list.len() {
        return Progress::Done;
    }

    for element in &list[*written..] {
        if *written == 0 {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":[");
        } else {
            out.push(b',');
        }

        put(out, element);
        *written += 1;

        if *written == list.len() {
            out.push(b']');
        } else if out.len() >= until {
            return Progress::More;
        }
    }

    Progress::Done
}

#[cfg(test)]
mod tests {
    use duramen_model::Labels;

    use super::*;

    fn series(start_ms: i64, points: i64) -> RangeSeries {
        let labels = Labels::from_pairs([("__name__", "m"), ("a", "b\"c")]).unwrap();
        let points = (0..points)
            .map(|n| (start_ms + n * 1000, n as f64))
            .collect();

        RangeSeries {
            labels,
            points,
            histograms: vec![],
        }
    }

    #[test]
    fn an_answer_is_never_smaller_than_what_is_known_before() {
        for start_ms in [0, 9_000, 1_600_000_000_000, -5_000, 1_600_000_000_123] {
            let mut matrix = Matrix::new(vec![series(start_ms, 100), series(start_ms, 1)]);
            let known = matrix.bytes_min();
            let mut out = Vec::new();

            assert_eq!(matrix.put(&mut out, usize::MAX), Progress::Done);
            assert!(known <= out.len(), "{known} {}", out.len());

            assert!(
                known * 2 > out.len(),
                "it is of the same order: {known} {}",
                out.len()
            );
        }
    }
}
