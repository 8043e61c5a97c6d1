//! Arguments that fit the function.

use duramen_syntax::ast::ValueType;
use duramen_syntax::functions::FunctionSig;

use super::Writer;

impl Writer {
    pub(super) fn arguments(&mut self, function: &FunctionSig, depth: u32) -> Vec<String> {
        let most = function
            .args_max()
            .unwrap_or_else(|| function.args_min() + 3);
        let count = function.args_min() + self.below((most - function.args_min()).min(4) + 1);
        (0..count)
            .map(|at| self.argument(function, at, depth))
            .collect()
    }

    fn argument(&mut self, function: &FunctionSig, at: usize, depth: u32) -> String {
        match (function.name, function.arg_type(at).unwrap()) {
            ("info", ValueType::Vector) if at == 1 => {
                let matchers = [
                    "{version=~\".+\"}",
                    "{version=\"x\"}",
                    "{__name__=\"build_info\"}",
                    "{__name__=~\".+_info\", version!=\"\"}",
                    "{none=\"\"}",
                    "{build=~\".*\"}",
                    "{}",
                ];

                self.one(&matchers).to_owned()
            }
            ("info", ValueType::Vector) if self.maybe(70) => self
                .one(&[
                    "i_total",
                    "rate(i_total[1m])",
                    "{job=\"a\"}",
                    "{__name__=~\"i_total|.+_info\"}",
                ])
                .to_owned(),
            (name, ValueType::Vector) if name.starts_with("histogram") && self.maybe(80) => {
                self.histograms(depth)
            }
            (
                "histogram_quantile" | "quantile_over_time" | "double_exponential_smoothing",
                ValueType::Scalar,
            ) => self.fraction(depth),
            ("histogram_quantiles", ValueType::Scalar) => self.fraction(0),
            ("label_replace" | "label_join", ValueType::String) => self.label_text(at),
            ("sort_by_label" | "sort_by_label_desc", ValueType::String) => self
                .one(&["'job'", "'inst'", "'le'", "'__name__'", "'none'"])
                .to_owned(),
            ("histogram_quantiles", ValueType::String) => self
                .one(&["'q'", "'le'", "'job'", "'__name__'", "'a b'"])
                .to_owned(),
            ("rate" | "increase" | "irate" | "resets" | "delta", ValueType::Matrix)
                if self.maybe(40) =>
            {
                let name = self.one(&["c_total", "h", "n", "hn", "m", "h2", "b_bucket"]);
                let range = self.one(&["1m", "2m", "30s", "5m"]);
                let mut text = format!("{name}[{range}]");

                if self.maybe(30) {
                    text += self.one(&[" anchored", " smoothed"]);
                }

                text
            }
            (_, kind) => self.of_type(kind, depth),
        }
    }

    /// Mostly vectors of histograms, classic and native.
    fn histograms(&mut self, depth: u32) -> String {
        let name = self.one(&[
            "h",
            "h2",
            "n",
            "hn",
            "m",
            "b_bucket",
            "h_bucket",
            "{__name__=~\"h|n\"}",
            "{__name__=~\"h.*\"}",
            "b",
        ]);

        match self.below(if depth == 0 { 1 } else { 6 }) {
            0 | 1 => name.to_owned(),
            2 => format!("rate({name}[2m])"),
            3 => format!("sum by(job, le) ({name})"),
            4 => format!("sum by(le) (increase({name}[1m]))"),
            _ => self.vector(depth),
        }
    }

    /// Mostly between 0 and 1.
    fn fraction(&mut self, depth: u32) -> String {
        if depth > 0 && self.maybe(10) {
            return self.scalar(depth);
        }

        self.one(&[
            "0", "0.1", "0.5", "0.5", "0.9", "0.99", "1", "-0.1", "1.1", "NaN", "Inf", "0.25",
        ])
        .to_owned()
    }

    /// The parameter of an aggregation.
    pub(super) fn parameter(&mut self, op: &str, depth: u32) -> String {
        if depth > 0 && self.maybe(15) {
            return self.scalar(depth);
        }

        let fitting: &[&str] = match op {
            "quantile" => return self.fraction(depth),
            "limit_ratio" => &[
                "0.5", "-0.5", "0.3", "1", "-1", "0", "1.5", "-2", "0.9", "NaN",
            ],
            _ => &["1", "2", "3", "0", "-1", "2.7", "100", "NaN", "1e20"],
        };

        self.one(fitting).to_owned()
    }

    pub(super) fn number(&mut self) -> String {
        let numbers = [
            "0",
            "1",
            "-1",
            "2",
            "3",
            "2.5",
            "0.5",
            "10",
            "100",
            "1e300",
            "-1e-300",
            "Inf",
            "-Inf",
            "NaN",
            "0x1F",
            "5m",
            "9223372036854775807",
            "1_000",
        ];

        self.one(&numbers).to_owned()
    }

    pub(super) fn string(&mut self) -> String {
        let texts = [
            "\"\"",
            "\"x\"",
            "\"le\"",
            "\"job\"",
            "\"v\"",
            "\"__name__\"",
            "\"é\"",
            "\"a b\"",
        ];

        self.one(&texts).to_owned()
    }

    /// The arguments of `label_replace` and `label_join`, which begin with a vector.
    fn label_text(&mut self, at: usize) -> String {
        let fitting: &[&str] = match at {
            1 => &[
                "'job'",
                "'new'",
                "'__name__'",
                "'le'",
                "'inst'",
                "'é'",
                "''",
            ],
            2 => &[
                "'$1'",
                "'x'",
                "''",
                "'$1-${2}'",
                "'a$0'",
                "'-'",
                "'${n}'",
                "'$$1'",
                "'$é'",
            ],
            3 => &["'job'", "'inst'", "'__name__'", "'none'"],
            _ => &[
                "'(.*)'",
                "'(.)(.*)'",
                "'a|b'",
                "''",
                "'(?P<n>.+)'",
                "'inst'",
                "'a('",
                "'(?i)A'",
                "'.+?'",
            ],
        };

        self.one(fitting).to_owned()
    }
}
