//! Random expressions that are well typed and mean something over a [`super::world::World`].

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

pub(crate) struct Writer<'r> {
    pub(crate) random: &'r mut StdRng,
}

/// Metrics with a series for each job and instance.
const METRICS: &[&str] = &["requests_total", "temperature", "level", "errors_total"];

impl Writer<'_> {
    /// A scalar or an instant vector.
    pub(crate) fn expression(&mut self) -> String {
        let depth = self.random.random_range(1..5);
        if self.maybe(6) { self.scalar(depth) } else { self.vector(depth) }
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of.choose(self.random).copied().unwrap_or("")
    }

    fn maybe(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn number(&mut self) -> String {
        self.one(&["0", "1", "2", "-1", "0.5", "3", "10", "100", "NaN", "Inf", "-Inf"]).to_owned()
    }

    fn scalar(&mut self, depth: u32) -> String {
        match self.random.random_range(0..if depth == 0 { 2 } else { 5 }) {
            0 => self.number(),
            1 => self.one(&["time()", "pi()", "1", "2"]).to_owned(),
            2 => format!("scalar({})", self.vector(depth - 1)),
            3 => format!("-({})", self.scalar(depth - 1)),
            _ => {
                let op = self.one(&["+", "-", "*", "/", "%", "^", "atan2", "== bool", "< bool", ">= bool"]);
                format!("({} {op} {})", self.scalar(depth - 1), self.scalar(depth - 1))
            }
        }
    }

    fn vector(&mut self, depth: u32) -> String {
        match self.random.random_range(0..if depth == 0 { 3 } else { 12 }) {
            0 => self.selector(),
            1 | 2 => self.over_range(depth),
            3 | 4 => self.call(depth),
            5 | 6 => self.aggregate(depth),
            7 | 8 => self.matched(depth),
            9 => self.set_operation(depth),
            _ => self.with_scalar(depth),
        }
    }

    fn matchers(&mut self) -> &'static str {
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
        let name = self.one(&["requests_total", "temperature", "level", "errors_total", "zoned", "limit", "alone"]);
        format!("{name}{}{}", self.matchers(), self.modifiers())
    }

    fn modifiers(&mut self) -> String {
        let mut text = String::new();
        if self.maybe(20) {
            text += " offset ";
            text += self.one(&["15s", "1m", "-30s", "7m"]);
        }
        if self.maybe(15) {
            text += " @ ";
            text += self.one(&["300", "512.5", "start()", "end()", "0"]);
        }
        text
    }

    fn range_vector(&mut self, depth: u32) -> String {
        let range = self.one(&["15s", "1m", "100s", "5m", "10m"]);
        if depth > 0 && self.maybe(25) {
            let step = self.one(&["15s", "30s", "1m", "50s"]);
            return format!("({})[{range}:{step}]{}", self.vector(depth - 1), self.modifiers());
        }
        let name = self.one(METRICS);
        format!("{name}{}[{range}]{}", self.matchers(), self.modifiers())
    }

    fn over_range(&mut self, depth: u32) -> String {
        let range = self.range_vector(depth);
        let function = self.one(&[
            "rate",
            "rate",
            "increase",
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
            "first_over_time",
            "present_over_time",
            "absent_over_time",
            "quantile_over_time",
            "predict_linear",
        ]);
        match function {
            "quantile_over_time" => {
                format!("{function}({}, {range})", self.one(&["0", "0.5", "0.9", "1", "-1", "2", "NaN"]))
            }
            "predict_linear" => format!("{function}({range}, {})", self.one(&["0", "60", "-30"])),
            _ => format!("{function}({range})"),
        }
    }

    fn call(&mut self, depth: u32) -> String {
        let vector = self.vector(depth - 1);
        match self.random.random_range(0..9) {
            0 => format!("clamp({vector}, {}, {})", self.scalar(0), self.scalar(0)),
            1 => format!("clamp_min({vector}, {})", self.scalar(depth - 1)),
            2 => format!("clamp_max({vector}, {})", self.number()),
            3 => format!("timestamp({vector})"),
            4 => format!("absent({vector})"),
            5 => format!("vector({})", self.scalar(depth - 1)),
            6 => {
                let [to, from] = [self.one(&["zone", "instance", "job"]), self.one(&["job", "instance", "none"])];
                let pattern = self.one(&["(.*)", "(.).*", "a(.*)", "[0-9]+"]);
                let replacement = self.one(&["$1", "x-$1", "", "same"]);
                format!("label_replace({vector}, \"{to}\", \"{replacement}\", \"{from}\", \"{pattern}\")")
            }
            7 => format!("label_join({vector}, \"joined\", \"-\", \"job\", \"instance\")"),
            _ => {
                let function = self.one(&[
                    "abs",
                    "ceil",
                    "floor",
                    "exp",
                    "sqrt",
                    "ln",
                    "log2",
                    "log10",
                    "sin",
                    "cos",
                    "deg",
                    "rad",
                    "sgn",
                    "minute",
                    "hour",
                    "day_of_week",
                    "round",
                ]);
                format!("{function}({vector})")
            }
        }
    }

    fn aggregate(&mut self, depth: u32) -> String {
        let vector = self.vector(depth - 1);
        let grouping =
            self.one(&["", "by(job)", "by(instance, job)", "without(instance)", "by(zone)", "without(zone)", "by()"]);
        match self.one(&["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile", "count_values"])
        {
            "quantile" => {
                format!("quantile {grouping} ({}, {vector})", self.one(&["0", "0.5", "0.99", "1", "-1", "2"]))
            }
            "count_values" => format!("count_values {grouping} (\"value\", round({vector}))"),
            op => format!("{op} {grouping} ({vector})"),
        }
    }

    fn operator(&mut self) -> &'static str {
        self.one(&[
            "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "== bool", "!= bool", "> bool",
            "< bool",
        ])
    }

    fn with_scalar(&mut self, depth: u32) -> String {
        let (vector, scalar, op) = (self.vector(depth - 1), self.scalar(depth - 1), self.operator());
        match self.random.random_range(0..3) {
            0 => format!("-({vector})"),
            1 => format!("({vector} {op} {scalar})"),
            _ => format!("({scalar} {op} {vector})"),
        }
    }

    fn matched(&mut self, depth: u32) -> String {
        let op = self.operator();
        match self.random.random_range(0..5) {
            0 => format!("({} {op} on(job) group_left() limit)", self.vector(depth - 1)),
            1 => format!("(limit {op} on(job) group_right() {})", self.vector(depth - 1)),
            2 => format!("({} {op} on(job, instance) group_left(zone) zoned)", self.vector(depth - 1)),
            3 => {
                let matching = self.one(&["", "on(job, instance)", "ignoring(zone)"]);
                format!("({} {op} {matching} {})", self.vector(depth - 1), self.vector(depth - 1))
            }
            _ => format!("({} {op} on() group_left() sum({}))", self.vector(depth - 1), self.vector(depth - 1)),
        }
    }

    fn set_operation(&mut self, depth: u32) -> String {
        let (left, right) = (self.vector(depth - 1), self.vector(depth - 1));
        let op = self.one(&["and", "or", "unless"]);
        let matching = self.one(&["", "on(job)", "on(job, instance)", "ignoring(zone)", "on()"]);
        format!("({left} {op} {matching} {right})")
    }
}
