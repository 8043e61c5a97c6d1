//! Random expressions about a [`World`](super::world::World), with the whole grammar.

mod arguments;

use std::fmt::Write as _;

use duramen_syntax::ast::ValueType;
use duramen_syntax::functions::{self, FunctionSig};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

pub(super) struct Writer {
    random: StdRng,
}

const AGGREGATIONS: [&str; 14] = [
    "avg",
    "bottomk",
    "count",
    "count_values",
    "group",
    "limit_ratio",
    "limitk",
    "max",
    "min",
    "quantile",
    "stddev",
    "stdvar",
    "sum",
    "topk",
];

impl Writer {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
        }
    }

    pub(super) fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of.choose(&mut self.random).copied().unwrap_or("")
    }

    pub(super) fn maybe(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        self.random.random_range(0..end)
    }

    /// Returns an expression for an instant query. For a range query, it must not be a range
    /// vector.
    pub(super) fn expression(&mut self, kind: ValueType) -> String {
        let depth = [0, 1, 1, 2, 2, 3][self.below(6)];
        self.of_type(kind, depth)
    }

    fn of_type(&mut self, kind: ValueType, depth: u32) -> String {
        match kind {
            ValueType::Scalar => self.scalar(depth),
            ValueType::Vector => self.vector(depth),
            ValueType::Matrix => self.matrix(depth),
            ValueType::String => self.string(),
        }
    }

    fn scalar(&mut self, depth: u32) -> String {
        match self.below(if depth == 0 { 1 } else { 7 }) {
            0 | 1 => self.number(),
            2 => self.call(depth, ValueType::Scalar),
            3 => {
                let op = self.one(&[
                    "+", "-", "*", "/", "%", "^", "atan2", "== bool", "< bool", ">= bool",
                    "!= bool",
                ]);

                format!(
                    "({} {op} {})",
                    self.scalar(depth - 1),
                    self.scalar(depth - 1)
                )
            }
            4 => format!("-{}", self.scalar(depth - 1)),
            5 => format!("({})", self.scalar(depth - 1)),
            _ => format!("scalar({})", self.vector(depth - 1)),
        }
    }

    fn vector(&mut self, depth: u32) -> String {
        match self.below(if depth == 0 { 1 } else { 12 }) {
            0 => self.selector(),
            1..=5 => self.call(depth, ValueType::Vector),
            6 | 7 => self.aggregate(depth),
            8 | 9 => self.binary(depth),
            10 => {
                let scalar = self.scalar(depth - 1);

                // TODO(69): only trims of vectors are compared.
                let op = self.operator();
                let op = if ["</", ">/"].contains(&op) { "+" } else { op };
                format!("({scalar} {op} {})", self.vector(depth - 1))
            }
            _ => {
                let vector = self.vector(depth - 1);
                let sign = self.one(&["-", "+", ""]);
                format!("{sign}({vector})")
            }
        }
    }

    fn name(&mut self) -> String {
        let series = [
            "g",
            "g{job=\"a\"}",
            "g2",
            "{__name__=~\"g|g2\"}",
            "c_total",
            "c_total{job=\"a\"}",
            "h",
            "h",
            "h2",
            "hn",
            "n",
            "m",
            "m{job=\"a\"}",
            "{__name__=~\"h|n\"}",
            "{__name__=~\"m|h2\"}",
            "b_bucket",
            "b_bucket{job=\"a\"}",
            "h_bucket",
            "{__name__=~\"h|h_bucket\"}",
            "i_total",
            "target_info",
            "{__name__=~\".+_info\"}",
            "none",
            "{job=\"a\"}",
            "{__name__=~\".+_total\"}",
            "{__name__!~\"g.*\",job=~\"b|\"}",
            "b",
            "{\"g\", inst=\"1\"}",
        ];

        self.one(&series).to_owned()
    }

    fn selector(&mut self) -> String {
        let mut text = self.name();
        self.modify(&mut text, Selects::Instants);
        text
    }

    /// `anchored` and `smoothed` are for selectors only.
    fn modify(&mut self, text: &mut String, selects: Selects) {
        let extended = match selects {
            Selects::Instants => 3,
            Selects::Ranges => 12,
            Selects::Subquery => 0,
        };

        if self.maybe(extended) {
            *text += self.one(&[" anchored", " smoothed"]);
        }

        if self.maybe(12) {
            let offset = self.one(&[
                "30s",
                "-30s",
                "10s",
                "(step()*2)",
                "-(range()/3)",
                "(1-1)",
                "-min_of(1s,2)",
                "max_of(step(), 5s)",
            ]);

            let _ = write!(text, " offset {offset}");
        }

        if self.maybe(10) {
            let at = self.one(&["60", "120.5", "-60", "start()", "end()", "0.0004"]);
            let _ = write!(text, " @ {at}");
        }
    }

    fn matrix(&mut self, depth: u32) -> String {
        let range = self.one(&[
            "1m",
            "2m",
            "45s",
            "30s",
            "10s",
            "1ms",
            "5m",
            "(range()+30)",
            "(step()*3)",
            "max_of(1m,step())",
            "2m^1",
        ]);

        if depth > 0 && self.maybe(25) {
            let inner = if self.maybe(15) {
                self.scalar(depth - 1)
            } else {
                self.vector(depth - 1)
            };

            let step = self.one(&["", "10s", "7s", "30s", "1m", "step()+1"]);
            let mut text = format!("({inner})[{range}:{step}]");
            self.modify(&mut text, Selects::Subquery);
            return text;
        }

        let mut text = format!("{}[{range}]", self.name());
        self.modify(&mut text, Selects::Ranges);
        text
    }

    fn call(&mut self, depth: u32, returns: ValueType) -> String {
        let fitting: Vec<&FunctionSig> = functions::all()
            .iter()
            .filter(|f| f.returns == returns)
            .collect();

        let mut function = fitting.choose(&mut self.random).copied().unwrap();

        // There are many similar functions of one float, so most of them are skipped.
        if function.args == [ValueType::Vector]
            && !function.name.starts_with("histogram")
            && self.maybe(60)
        {
            function = fitting.choose(&mut self.random).copied().unwrap();
        }

        // The sine of a large number depends on its last bit.
        let depth = if ["sin", "cos", "tan"].contains(&function.name) {
            1
        } else {
            depth
        };

        format!(
            "{}({})",
            function.name,
            self.arguments(function, depth - 1).join(", ")
        )
    }

    fn grouping(&mut self) -> &'static str {
        self.one(&[
            "",
            "",
            "by(job)",
            "by()",
            "without(job)",
            "without(inst)",
            "by(__name__, none)",
            "without(le)",
            "by(le)",
            "by(job, le)",
            "without(__name__)",
            "by(\"é\")",
        ])
    }

    fn aggregate(&mut self, depth: u32) -> String {
        let op = self.one(&AGGREGATIONS);
        let grouping = self.grouping();
        let vector = self.vector(depth - 1);

        match op {
            "count_values" => format!("{op} {grouping} ({}, {vector})", self.string()),
            "quantile" | "bottomk" | "limit_ratio" | "limitk" | "topk" => {
                format!(
                    "{op} {grouping} ({}, {vector})",
                    self.parameter(op, depth - 1)
                )
            }
            _ => format!("{op} {grouping} ({vector})"),
        }
    }

    fn operator(&mut self) -> &'static str {
        self.one(&[
            "+", "+", "-", "-", "*", "/", "%", "^", "atan2", "==", "!=", "> bool", "<", ">= bool",
            "<=", "== bool", "</", ">/",
        ])
    }

    fn binary(&mut self, depth: u32) -> String {
        let left = self.vector(depth - 1);
        if self.maybe(25) {
            let right = self.scalar(depth - 1);
            return format!("({left} {} {right})", self.operator());
        }

        let right = if self.maybe(25) {
            left.clone()
        } else {
            self.vector(depth - 1)
        };

        let matching = self.one(&[
            "",
            "on()",
            "on(job)",
            "ignoring(job)",
            "ignoring(inst)",
            "on(__name__)",
            "on(job, le)",
            "on(job, inst)",
        ]);

        if self.maybe(25) {
            let op = self.one(&["and", "or", "unless"]);
            return format!("({left} {op} {matching} {right})");
        }

        let group = match matching {
            "" => "",
            _ => self.one(&[
                "",
                "group_left",
                "group_right",
                "group_left(le)",
                "group_left(inst)",
                "group_right(__name__)",
                "group_right(job)",
                "group_left(none, inst)",
            ]),
        };

        let fill = self.one(&[
            "",
            "",
            "",
            "fill(0)",
            "fill_left(NaN)",
            "fill_right(-1)",
            "fill_left(1) fill_right(2)",
        ]);

        format!(
            "({left} {} {matching} {group} {fill} {right})",
            self.operator()
        )
    }
}

/// What a modifier follows.
#[derive(Clone, Copy)]
enum Selects {
    Instants,
    Ranges,
    Subquery,
}
