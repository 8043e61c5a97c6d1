//! Writes function calls, aggregations and operators over instant vectors.

use rand::Rng;

use super::Writer;

impl Writer<'_> {
    pub(super) fn call(&mut self, depth: u32) -> String {
        let vector = self.vector(depth - 1);
        match self
            .random
            .random_range(0..if self.is_old() { 10 } else { 12 })
        {
            0 => format!("clamp({vector}, {}, {})", self.scalar(0), self.scalar(0)),
            1 => format!("clamp_min({vector}, {})", self.scalar(depth - 1)),
            2 => format!("clamp_max({vector}, {})", self.number()),
            3 => format!("timestamp({vector})"),
            4 => format!("absent({vector})"),
            5 => format!("vector({})", self.scalar(depth - 1)),

            6 => {
                let to = self.one_of(&["zone", "instance", "job"], &["__name__"]);
                let from = self.one(&["job", "instance", "none"]);
                let pattern = self.one(&["(.*)", "(.).*", "a(.*)", "[0-9]+"]);
                let replacement = self.one(&["$1", "x-$1", "", "same"]);

                format!(
                    "label_replace({vector}, \"{to}\", \"{replacement}\", \"{from}\", \"{pattern}\")"
                )
            }

            7 => {
                let to = self.one_of(&["joined", "joined"], &["__name__"]);
                format!("label_join({vector}, \"{to}\", \"-\", \"job\", \"instance\")")
            }

            8 => {
                let part = self.one(&[
                    "day_of_month",
                    "day_of_year",
                    "days_in_month",
                    "month",
                    "year",
                    "day_of_week",
                ]);

                match self.one(&["0", "1", "2"]) {
                    "0" => format!("{part}()"),
                    "1" => format!("{part}(level * 1e7)"),
                    _ => format!("{part}(requests_total * 86399)"),
                }
            }

            9 => {
                let function = self.one(&[
                    "abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sin", "cos",
                    "tan", "atan", "tanh", "deg", "rad", "sgn", "minute", "hour", "round",
                ]);

                format!("{function}({vector})")
            }

            10 => {
                let function = self.one(&[
                    "histogram_count",
                    "histogram_sum",
                    "histogram_avg",
                    "histogram_stddev",
                    "histogram_stdvar",
                ]);

                let histograms = self.one(&["duration", "size", "spread", "mixed", ""]);
                format!(
                    "{function}({})",
                    if histograms.is_empty() {
                        &vector
                    } else {
                        histograms
                    }
                )
            }

            _ => {
                let vector = self.one(&[
                    "requests_total",
                    "rate(requests_total[5m])",
                    "level",
                    "duration",
                    "limit",
                ]);

                let selector = self.one(&[
                    "",
                    "",
                    ", {version=~\".+\"}",
                    ", {version=\"1.9\"}",
                    ", {__name__=\"build_info\"}",
                    ", {__name__=~\".+_info\"}",
                    ", {__name__!=\"target_info\", branch=~\".*\"}",
                    ", {none=~\".+\"}",
                ]);

                format!("info({vector}{selector})")
            }
        }
    }

    pub(super) fn aggregate(&mut self, depth: u32) -> String {
        let vector = self.vector(depth - 1);
        let grouping = self.one_of(
            &[
                "",
                "by(job)",
                "by(instance, job)",
                "without(instance)",
                "by(zone)",
                "without(zone)",
                "by()",
            ],
            &["by(__name__)", "by(job, __name__)"],
        );

        let op = self.one_of(
            &[
                "sum",
                "avg",
                "min",
                "max",
                "count",
                "group",
                "quantile",
                "count_values",
            ],
            &[
                "sum",
                "avg",
                "stddev",
                "stdvar",
                "topk",
                "bottomk",
                "limit_ratio",
            ],
        );

        match op {
            "quantile" => {
                format!(
                    "quantile {grouping} ({}, {vector})",
                    self.one(&["0", "0.5", "0.99", "1", "-1", "2"])
                )
            }
            "count_values" => format!("count_values {grouping} (\"value\", round({vector}))"),
            "topk" | "bottomk" => format!(
                "{op} {grouping} ({}, {vector})",
                self.one(&["1", "2", "3.7", "100", "0"])
            ),
            "limit_ratio" => {
                format!(
                    "{op} {grouping} ({}, {vector})",
                    self.one(&["0.5", "-0.5", "0.1", "1", "-1", "0", "2"])
                )
            }
            op => format!("{op} {grouping} ({vector})"),
        }
    }

    fn operator(&mut self) -> &'static str {
        self.one_of(
            &[
                "+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "== bool",
                "!= bool", "> bool", "< bool",
            ],
            &["atan2"],
        )
    }

    pub(super) fn with_scalar(&mut self, depth: u32) -> String {
        let vector = self.vector(depth - 1);
        let scalar = self.scalar(depth - 1);
        let op = self.operator();

        match self
            .random
            .random_range(0..if self.is_old() { 3 } else { 5 })
        {
            0 => format!("-({vector})"),
            1 => format!("({vector} {op} {scalar})"),
            2 => format!("({scalar} {op} {vector})"),

            _ => {
                let op = self.one(&["</", ">/"]);
                let at = self.one(&["0", "1", "-1", "0.7", "3", "Inf", "-Inf", "1000"]);
                let histograms = self.one(&["duration", "size", "spread", "mixed", ""]);

                format!(
                    "({} {op} {at})",
                    if histograms.is_empty() {
                        &vector
                    } else {
                        histograms
                    }
                )
            }
        }
    }

    pub(super) fn matched(&mut self, depth: u32) -> String {
        let op = self.operator();
        let fill = if self.is_old() {
            ""
        } else {
            self.one(&["", "", "", "fill(0)", "fill_left(2)", "fill_right(-1)"])
        };

        match self.random.random_range(0..5) {
            0 => format!(
                "({} {op} on(job) group_left() {fill} limit)",
                self.vector(depth - 1)
            ),
            1 => format!(
                "(limit {op} on(job) group_right() {fill} {})",
                self.vector(depth - 1)
            ),
            2 => format!(
                "({} {op} on(job, instance) group_left(zone) {fill} zoned)",
                self.vector(depth - 1)
            ),
            3 => {
                let matching = self.one(&["on(job, instance)", "ignoring(zone)"]);
                let matching = if fill.is_empty() && self.maybe(30) {
                    ""
                } else {
                    matching
                };

                format!(
                    "({} {op} {matching} {fill} {})",
                    self.vector(depth - 1),
                    self.vector(depth - 1)
                )
            }
            _ => format!(
                "({} {op} on() group_left() sum({}))",
                self.vector(depth - 1),
                self.vector(depth - 1)
            ),
        }
    }

    pub(super) fn set_operation(&mut self, depth: u32) -> String {
        let left = self.vector(depth - 1);
        let right = self.vector(depth - 1);
        let op = self.one(&["and", "or", "unless"]);
        let matching = self.one(&["", "on(job)", "on(job, instance)", "ignoring(zone)", "on()"]);

        format!("({left} {op} {matching} {right})")
    }
}
