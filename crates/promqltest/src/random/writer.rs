//! Writes random expressions that are well typed and meaningful for a [`super::World`].

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// The version of the language that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The whole language.
    Whole,
    /// The part for which Prometheus 2.42 gives the same answers as 3.14.
    ///
    /// Left out are:
    /// - functions, operators and modifiers that came later;
    /// - native histograms, which are behind a flag in 2.42;
    /// - `rate` and `increase`, whose extrapolation to zero had another order of steps;
    /// - deviations of groups, which were 0 for a single infinite value;
    /// - nested subqueries, and ranges that are a whole number of steps, because windows included
    ///   their start;
    /// - `topk` and `bottomk`, which may choose any of several equal series;
    /// - `atan2` of vectors, which kept the name;
    /// - `predict_linear`, which in a range query took other samples than those at its `@`.
    Prometheus242,
}

#[derive(Debug)]
pub struct Writer<'r> {
    pub random: &'r mut StdRng,
    pub dialect: Dialect,
    /// Times in the text are relative to this time, in seconds since the epoch.
    pub origin: i64,
}

impl Writer<'_> {
    /// Writes a scalar or an instant vector.
    pub fn expression(&mut self) -> String {
        let depth = self.random.random_range(1..5);
        if self.maybe(6) {
            return self.scalar(depth);
        }

        let vector = self.vector(depth);
        if self.is_old() || !self.maybe(10) {
            return vector;
        }

        match self.random.random_range(0..6) {
            0 => format!("sort({vector})"),
            1 => format!("sort_desc({vector})"),
            2 => format!("sort_by_label({vector}, \"version\", \"instance\")"),
            3 => format!("sort_by_label_desc({vector}, \"job\")"),
            4 => format!("topk({}, {vector})", self.one(&["1", "2", "5"])),
            _ => format!("bottomk({}, {vector})", self.one(&["1", "2", "5"])),
        }
    }

    pub(super) fn is_old(&self) -> bool {
        self.dialect == Dialect::Prometheus242
    }

    pub(super) fn one<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices.choose(self.random).copied().unwrap_or("")
    }

    /// Chooses one of `both`, which both dialects have, or of `whole`, which only the whole
    /// language has.
    pub(super) fn one_of<'a>(&mut self, both: &[&'a str], whole: &[&'a str]) -> &'a str {
        let whole = if self.is_old() { &[][..] } else { whole };
        self.one(&[both, whole].concat())
    }

    pub(super) fn maybe(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    pub(super) fn number(&mut self) -> String {
        self.one(&[
            "0", "1", "2", "-1", "0.5", "3", "10", "100", "NaN", "Inf", "-Inf",
        ])
        .to_owned()
    }

    pub(super) fn scalar(&mut self, depth: u32) -> String {
        match self.random.random_range(0..if depth == 0 { 2 } else { 5 }) {
            0 => self.number(),
            1 => {
                let newer = [
                    "start()",
                    "end()",
                    "range()",
                    "step()",
                    "max_of(1, step())",
                    "min_of(NaN, 2)",
                ];

                self.one_of(&["time()", "pi()", "1", "2"], &newer)
                    .to_owned()
            }
            2 => format!("scalar({})", self.vector(depth - 1)),
            3 => format!("-({})", self.scalar(depth - 1)),
            _ => {
                let op = self.one(&[
                    "+", "-", "*", "/", "%", "^", "atan2", "== bool", "< bool", ">= bool",
                ]);
                format!(
                    "({} {op} {})",
                    self.scalar(depth - 1),
                    self.scalar(depth - 1)
                )
            }
        }
    }

    pub(super) fn vector(&mut self, depth: u32) -> String {
        match self.random.random_range(0..if depth == 0 { 3 } else { 13 }) {
            0 => self.selector(),
            1 | 2 => self.over_range(depth),
            3 | 4 => self.call(depth),
            5 | 6 => self.aggregate(depth),
            7 | 8 => self.matched(depth),
            9 => self.set_operation(depth),
            10 => self.distribution(depth),
            _ => self.with_scalar(depth),
        }
    }

    pub(super) fn matchers(&mut self) -> &'static str {
        self.one(&[
            "",
            "",
            "",
            "{job=\"api\"}",
            "{instance!=\"2\"}",
            "{instance=~\"1|3\"}",
            "{job!~\"d.*\", instance=\"1\"}",
            "{job=\"none\"}",
            "{zone=\"\"}",
        ])
    }

    fn selector(&mut self) -> String {
        let name = self.one_of(
            &[
                "requests_total",
                "temperature",
                "level",
                "errors_total",
                "zoned",
                "limit",
                "alone",
                "latency_bucket",
            ],
            &[
                "duration",
                "size",
                "spread",
                "mixed",
                "duration",
                "target_info",
            ],
        );

        let smoothed = if !self.is_old() && self.maybe(6) {
            " smoothed"
        } else {
            ""
        };

        // The parentheses are needed: an operator after a calculated offset would be part of it.
        format!("({name}{}{smoothed}{})", self.matchers(), self.modifiers())
    }

    pub(super) fn modifiers(&mut self) -> String {
        let mut text = String::new();
        if self.maybe(20) {
            text += " offset ";
            text += self.one_of(
                &["15s", "1m", "-30s", "7m"],
                &["(step()*2)", "(1m-range()/7)", "-min_of(45,1m)"],
            );
        }

        if self.maybe(15) {
            text += " @ ";
            text += &match self
                .one(&["300", "512", "start()", "end()", "0"])
                .parse::<i64>()
            {
                Ok(seconds) => (self.origin + seconds).to_string(),
                Err(_) => self.one(&["start()", "end()"]).to_owned(),
            };
        }

        text
    }

    fn distribution(&mut self, depth: u32) -> String {
        let vector = if self.is_old() {
            let by = self.one(&["by(le)", "by(job, le)", "without(instance)"]);
            let matchers = self.matchers();
            let modifiers = self.modifiers();

            format!("sum {by} (latency_bucket{matchers}{modifiers})")
        } else {
            match self.random.random_range(0..6) {
                0 => "latency_bucket".to_owned(),
                1 => format!("sum by(job, le) ({})", self.rise("latency_bucket")),
                2 => self.rise("duration"),
                3 => format!("sum by(job) ({})", self.rise("size")),
                4 => self
                    .one(&["duration", "size", "spread", "mixed"])
                    .to_owned(),
                _ => self.vector(depth - 1),
            }
        };

        // With these quantiles, no rank is a whole number of observations. Otherwise the last digit
        // of a float could decide between two buckets.
        let q = self.one(&[
            "0.0131", "0.1372", "0.4713", "0.9317", "0.9931", "-1", "2", "NaN",
        ]);
        match self
            .random
            .random_range(0..if self.is_old() { 1 } else { 5 })
        {
            0 | 1 => format!("histogram_quantile({q}, {vector})"),
            2 => format!(
                "histogram_quantiles({vector}, \"q\", 0.4713, {})",
                self.one(&["0.9317", "-1"])
            ),

            _ => {
                let from = self.one(&["-Inf", "0", "-1", "0.3", "1"]);
                let to = self.one(&["0.7", "2", "Inf", "0", "NaN"]);
                format!("histogram_fraction({from}, {to}, {vector})")
            }
        }
    }

    fn rise(&mut self, name: &str) -> String {
        let function = self.one(&["rate", "increase", "delta", "irate"]);
        let matchers = self.matchers();
        let range = self.one(&["1m", "100s", "5m"]);

        format!("{function}({name}{matchers}[{range}])")
    }
}
