//! Every query that parses is answered or refused, and the engine never fails internally.

use std::sync::Arc;

use std::fmt::Write as _;

use duramen_model::{ErrorKind, STALE_NAN, Sample};
use duramen_promql::{Engine, EngineConfig, QueryTimes};
use duramen_runtime::SystemClock;
use duramen_source::MemorySource;
use duramen_syntax::ast::ValueType;
use duramen_syntax::functions::{self, FunctionSig};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::engine::{bits, context, labels};

/// The number of random queries. `DURAMEN_RANDOM_QUERIES` in the environment overrides it, and
/// `DURAMEN_RANDOM_SEED` sets the first seed.
const QUERIES: u64 = 1000;

/// Writes random well-typed queries with the whole grammar.
struct Writer {
    random: StdRng,
}

impl Writer {
    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of.choose(&mut self.random).copied().unwrap_or("")
    }

    fn maybe(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn of_type(&mut self, kind: ValueType, depth: u32) -> String {
        match kind {
            ValueType::Scalar => self.scalar(depth),
            ValueType::Vector => self.vector(depth),
            ValueType::Matrix => self.matrix(depth),
            ValueType::String => self.string(),
        }
    }

    fn string(&mut self) -> String {
        let texts = [
            "\"\"",
            "\"x\"",
            "\"le\"",
            "\"(.*)\"",
            "\"$1-${x}\"",
            "\"__name__\"",
            "'\\xff'",
            "\"é\"",
            "\"a(\"",
        ];

        self.one(&texts).to_owned()
    }

    fn number(&mut self) -> String {
        let numbers = [
            "0",
            "1",
            "-1",
            "2.5",
            "0.5",
            "1e300",
            "-1e-300",
            "Inf",
            "-Inf",
            "NaN",
            "3",
            "0x1F",
            "5m",
            "9223372036854775807",
        ];

        self.one(&numbers).to_owned()
    }

    fn scalar(&mut self, depth: u32) -> String {
        match self.random.random_range(0..if depth == 0 { 1 } else { 6 }) {
            0 => self.number(),
            1 => self.call(depth, ValueType::Scalar),
            2 => {
                let op = self.one(&[
                    "+", "-", "*", "/", "%", "^", "atan2", "== bool", "< bool", ">= bool", "</",
                    ">/",
                ]);

                format!(
                    "({} {op} {})",
                    self.scalar(depth - 1),
                    self.scalar(depth - 1)
                )
            }
            3 => format!("-{}", self.scalar(depth - 1)),
            4 => format!("({})", self.scalar(depth - 1)),
            _ => format!("scalar({})", self.vector(depth - 1)),
        }
    }

    fn vector(&mut self, depth: u32) -> String {
        match self.random.random_range(0..if depth == 0 { 1 } else { 10 }) {
            0 => self.selector(),
            1..=3 => self.call(depth, ValueType::Vector),
            4 | 5 => self.aggregate(depth),
            6 | 7 => self.binary(depth),
            8 => format!(
                "({} {} {})",
                self.scalar(depth - 1),
                self.scalar_operator(),
                self.vector(depth - 1)
            ),
            _ => {
                let vector = self.vector(depth - 1);
                let sign = self.one(&["-", "+", ""]);
                format!("{sign}({vector})")
            }
        }
    }

    fn selector(&mut self) -> String {
        let series = [
            "up",
            "up{x=\"1\"}",
            "{__name__=~\".+\"}",
            "h_bucket",
            "h_bucket{le=~\".*\"}",
            "c_total",
            "none",
            "up{x!~\"\"}",
            "{x=~\"1|2\"}",
            "{\"up\", x=\"\"}",
            "{x=\"1\", x=\"2\"}",
        ];

        let mut text = self.one(&series).to_owned();
        self.modify(&mut text, true);
        text
    }

    /// `anchored` and `smoothed` are for selectors only.
    fn modify(&mut self, text: &mut String, selector: bool) {
        if selector && self.maybe(10) {
            *text += self.one(&[" anchored", " smoothed"]);
        }

        if self.maybe(20) {
            let offset = self.one(&[
                "30s",
                "-30s",
                "70y",
                "-70y",
                "(step()*2)",
                "-(range()/3)",
                "(1-1)",
                "-min_of(1s,2)",
            ]);

            let _ = write!(text, " offset {offset}");
        }

        if self.maybe(20) {
            let at = self.one(&["60", "-60", "start()", "end()", "1e15", "0.0004"]);
            let _ = write!(text, " @ {at}");
        }
    }

    fn matrix(&mut self, depth: u32) -> String {
        let range = self.one(&[
            "1m",
            "30s",
            "10s",
            "1ms",
            "70y",
            "(range()+1)",
            "(step()%7)",
            "max_of(1,2)",
            "2m^1",
        ]);

        let mut text = if depth > 0 && self.maybe(35) {
            let vector = match self.random.random_range(0..3) {
                0 => self.scalar(depth - 1),
                _ => self.vector(depth - 1),
            };

            let step = self.one(&["", "10s", "7s", "1ms", "step()+1", "1y"]);
            let mut text = format!("({vector})[{range}:{step}]");
            self.modify(&mut text, false);
            return text;
        } else {
            self.one(&[
                "up",
                "c_total{x=\"1\"}",
                "{__name__=~\"up|c_total\"}",
                "h_bucket",
                "none",
            ])
            .to_owned()
        };

        let _ = write!(text, "[{range}]");
        self.modify(&mut text, true);
        text
    }

    fn call(&mut self, depth: u32, returns: ValueType) -> String {
        let fitting: Vec<&FunctionSig> = functions::all()
            .iter()
            .filter(|f| f.returns == returns)
            .collect();

        let function = fitting.choose(&mut self.random).copied().unwrap();
        let count = self
            .random
            .random_range(function.args_min()..=function.args_max().unwrap_or(6).min(6));

        let args: Vec<String> = (0..count)
            .map(|at| match function.arg_type(at).unwrap() {
                ValueType::Vector if function.name == "info" && at == 1 => "{x=~\".+\"}".to_owned(),
                kind => self.of_type(kind, depth - 1),
            })
            .collect();

        format!("{}({})", function.name, args.join(", "))
    }

    fn aggregate(&mut self, depth: u32) -> String {
        let op = self.one(&[
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
        ]);

        let grouping = self.one(&[
            "",
            "by(x)",
            "by()",
            "without(x)",
            "by(__name__, none)",
            "without(le)",
            "by(\"é\")",
        ]);

        let vector = self.vector(depth - 1);
        match op {
            "count_values" => format!("{op} {grouping} ({}, {vector})", self.string()),
            "bottomk" | "limit_ratio" | "limitk" | "quantile" | "topk" => {
                format!("{op} {grouping} ({}, {vector})", self.scalar(depth - 1))
            }
            _ => format!("{op} {grouping} ({vector})"),
        }
    }

    fn scalar_operator(&mut self) -> &'static str {
        self.one(&[
            "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", "> bool", "<", ">= bool", "<=",
            "</", ">/",
        ])
    }

    fn binary(&mut self, depth: u32) -> String {
        let left = self.vector(depth - 1);
        let right = self.vector(depth - 1);

        if self.maybe(25) {
            let right = self.scalar(depth - 1);
            return format!("({left} {} {right})", self.scalar_operator());
        }

        let matching = self.one(&[
            "",
            "on()",
            "on(x)",
            "ignoring(x)",
            "ignoring()",
            "on(__name__)",
            "on(x, le)",
        ]);

        if self.maybe(30) {
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
                "group_right(__name__)",
                "group_left(none, le)",
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
            self.scalar_operator()
        )
    }
}

fn data() -> MemorySource {
    let mut source = MemorySource::default();
    let values = [
        0.0,
        1.0,
        5.0,
        f64::NAN,
        2.0,
        STALE_NAN,
        f64::INFINITY,
        -3.5,
        1e308,
        1e308,
        -0.0,
        f64::NEG_INFINITY,
    ];

    let series = [
        "up",
        "up{x=\"1\"}",
        "up{x=\"2\"}",
        "c_total{x=\"1\"}",
        "c_total{x=\"2\"}",
        "h_bucket{le=\"1\"}",
        "h_bucket{le=\"2\"}",
        "h_bucket{le=\"+Inf\"}",
        "h_bucket{x=\"1\",le=\"odd\"}",
        "h_bucket{x=\"1\",le=\"+Inf\"}",
        "h_bucket{x=\"1\",le=\"1.0\"}",
    ];

    for (at, text) in series.iter().enumerate() {
        let counts = text.starts_with("c_") || text.starts_with("h_");
        let value = |step: usize| match (counts, values[(step + at) % values.len()]) {
            (true, _) => (step * (at + 1) % 17) as f64,
            (false, value) => value,
        };

        let steps = (0..24).filter(|step| at % 3 != 0 || step % 4 != 0);
        source.push(
            labels(text),
            steps.map(|step| Sample::new(step as i64 * 10_000, value(step))),
        );
    }

    source
}

fn environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_parses_is_answered_or_refused() {
    let context = context(data());
    let config = EngineConfig {
        samples_max: 5000,
        memory_bytes_max: 32 << 20,
        ..EngineConfig::default()
    };

    let engines = [1, 3].map(|partitions| {
        Engine::new(
            EngineConfig {
                partitions,
                ..config.clone()
            },
            Arc::new(SystemClock::default()),
        )
    });

    let first = environment("DURAMEN_RANDOM_SEED", 1);
    let mut parsed = 0;
    let mut answered = 0;
    let queries = environment("DURAMEN_RANDOM_QUERIES", QUERIES);

    for seed in first..first + queries {
        let mut writer = Writer {
            random: StdRng::seed_from_u64(seed),
        };
        let depth = writer.random.random_range(0..5);

        let kind = [
            ValueType::Scalar,
            ValueType::Vector,
            ValueType::Vector,
            ValueType::Matrix,
        ][seed as usize % 4];

        let query = writer.of_type(kind, depth);
        let Ok(expr) = duramen_syntax::parse(&query) else {
            continue;
        };
        parsed += 1;

        let time_ms = [0, 60_000, 155_555, 400_000, i64::MAX][writer.random.random_range(0..5)];
        let step_ms = [1, 7_000, 10_000, 60_000][writer.random.random_range(0..4)];
        let end_ms = time_ms.saturating_add(step_ms * 5);
        let [mut instants, mut ranges] = [Vec::new(), Vec::new()];

        for engine in &engines {
            instants.push(engine.instant(&context, &expr, time_ms).await);
            ranges.push(
                engine
                    .range(
                        &context,
                        &expr,
                        QueryTimes::range(time_ms, end_ms, step_ms).unwrap(),
                    )
                    .await,
            );
        }

        for answers in [instants, ranges] {
            let internal = |error: &duramen_promql::Error| error.kind() == ErrorKind::Internal;
            assert!(
                !answers.iter().any(|a| a.as_ref().is_err_and(internal)),
                "seed {seed}: {query}: {answers:?}"
            );

            answered += usize::from(answers[0].is_ok());

            let limited = |error: &duramen_promql::Error| error.kind() == ErrorKind::TooMuch;
            if answers
                .iter()
                .any(|answer| answer.as_ref().is_err_and(limited))
                || answers.iter().all(Result::is_err)
            {
                // How many samples several tasks hold at the same time, and which of two errors
                // comes first, depends on which task is ahead.
                continue;
            }

            let [one, other] = <[_; 2]>::try_from(answers).unwrap();
            let [one, other] = [one, other].map(bits);

            assert!(
                one == other,
                "seed {seed}: {query} depends on the number of partitions:\n{one}\n{other}"
            );
        }
    }

    println!("{queries} queries: {parsed} parsed, {answered} answers");
    assert!(
        parsed * 10 > queries * 8 && answered * 2 > usize::try_from(queries).unwrap(),
        "{parsed} {answered}"
    );
}
