//! Writes range vectors, and functions of them.

use super::Writer;

/// Metrics with a series for each job and instance.
const METRICS: &[&str] = &["requests_total", "temperature", "level", "errors_total"];
const HISTOGRAMS: &[&str] = &["duration", "size", "spread", "mixed"];

impl Writer<'_> {
    fn range_vector(&mut self, depth: u32) -> String {
        let range = match self.is_old() {
            true => self.one(&["16s", "61s", "101s", "301s", "601s"]),
            false => self.one(&[
                "15s",
                "1m",
                "100s",
                "5m",
                "10m",
                "(step()+20)",
                "max_of(range(),77)",
                "min_of(step(),30)+45",
                "(step()/7+1m)",
            ]),
        };

        if depth > 0 && self.maybe(25) {
            let step = self.one_of(&["15s", "30s", "1m", "50s"], &["step()+20", "(7*3)"]);

            // In the old dialect windows include their start, so a subquery may have one more step.
            let depth = if self.is_old() { 0 } else { depth - 1 };
            let vector = if self.is_old() {
                format!("{}{}", self.one(METRICS), self.matchers())
            } else {
                self.vector(depth)
            };

            return format!("({vector})[{range}:{step}]{}", self.modifiers());
        }

        let name = if !self.is_old() && self.maybe(35) {
            self.one(HISTOGRAMS)
        } else {
            self.one(METRICS)
        };

        format!("{name}{}[{range}]{}", self.matchers(), self.modifiers())
    }

    pub(super) fn over_range(&mut self, depth: u32) -> String {
        if !self.is_old() && self.maybe(10) {
            let function = self.one(&["rate", "increase", "delta"]);
            let range = self.one(&["1m", "100s", "5m"]);
            let name = self.one(&[METRICS, HISTOGRAMS].concat());
            let edges = self.one(&["anchored", "smoothed"]);

            let function = if edges == "anchored" && self.maybe(30) {
                self.one(&["changes", "resets"])
            } else {
                function
            };

            return format!(
                "{function}({name}{}[{range}] {edges}{})",
                self.matchers(),
                self.modifiers()
            );
        }

        let range = self.range_vector(depth);
        let function = self.one_of(
            &[
                "delta",
                "irate",
                "idelta",
                "deriv",
                "changes",
                "resets",
                "count_over_time",
                "sum_over_time",
                "avg_over_time",
                "min_over_time",
                "max_over_time",
                "stddev_over_time",
                "stdvar_over_time",
                "last_over_time",
                "present_over_time",
                "absent_over_time",
                "quantile_over_time",
            ],
            &[
                "predict_linear",
                "rate",
                "rate",
                "rate",
                "increase",
                "first_over_time",
                "integral",
                "mad_over_time",
                "ts_of_first_over_time",
                "ts_of_last_over_time",
                "ts_of_min_over_time",
                "ts_of_max_over_time",
                "double_exponential_smoothing",
            ],
        );

        match function {
            "quantile_over_time" => {
                format!(
                    "{function}({}, {range})",
                    self.one(&["0", "0.5", "0.9", "1", "-1", "2", "NaN"])
                )
            }
            "integral" => format!(
                "{function}({range}{})",
                self.one(&["", ", 0", ", 1", ", 2", ", 3", ", NaN"])
            ),
            "predict_linear" => format!("{function}({range}, {})", self.one(&["0", "60", "-30"])),
            "double_exponential_smoothing" => {
                format!(
                    "{function}({range}, {}, {})",
                    self.one(&["0.5", "0.3"]),
                    self.one(&["0.1", "0.8"])
                )
            }
            _ => format!("{function}({range})"),
        }
    }
}
