//! The lines of a script, read.

use duramen_model::{GoRegex, Labels, STALE_NAN, Sample};
use duramen_source::MemorySource;
use duramen_syntax::Expr;
use duramen_syntax::ast::MatchOp;

/// What lies in the store of a script.
#[derive(Default)]
pub(super) struct Store {
    pub(super) source: MemorySource,
    /// Series that this runner cannot load; an eval that reads one is passed over.
    pub(super) unloaded: Vec<Labels>,
}

#[derive(Debug, Default)]
pub(super) struct Eval {
    pub(super) line: usize,
    pub(super) query: String,
    /// (start, end, step) of a range query; an instant is at `start`.
    pub(super) times: (i64, i64, i64),
    pub(super) is_range: bool,
    pub(super) expects: Vec<String>,
    pub(super) series: Vec<(Labels, Vec<Option<f64>>)>,
    pub(super) scalar: Option<f64>,
    pub(super) has_histograms: bool,
}

pub(super) fn ms(text: &str) -> i64 {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let duration = duramen_syntax::parse_duration(digits);
    sign * duration.unwrap_or_else(|_| (digits.parse::<f64>().expect("a time") * 1000.0) as i64)
}

/// A series line apart: labels and the rest.
fn series_line(line: &str) -> (Labels, &str) {
    let mut quote = None;
    let mut depth = 0;
    let mut end = line.len();
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open && !line[..at].ends_with('\\') => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') => depth -= 1,
            _ => {}
        }
        let behind = line[at..].trim_start();
        let gap = c.is_whitespace() && (behind.starts_with("{{") || !behind.starts_with('{'));
        if quote.is_none() && depth == 0 && (c == '}' || gap) {
            end = at + usize::from(c == '}');
            break;
        }
    }
    let (selector, rest) = line.split_at(end);
    if selector.replace(' ', "") == "{}" {
        return (Labels::empty(), rest.trim());
    }
    let Ok(Expr::VectorSelector(selector)) = duramen_syntax::parse(selector) else { panic!("no series: {line}") };
    let pairs =
        selector.matchers.iter().filter(|m| m.op == MatchOp::Equal).map(|m| (m.name.as_str(), m.value.as_str()));
    (Labels::from_pairs(pairs).expect("labels"), rest.trim())
}

fn number(text: &str) -> f64 {
    if text == "stale" {
        return STALE_NAN;
    }
    match duramen_syntax::parse(text) {
        Ok(Expr::Number { value, .. }) => value,
        _ => panic!("no number: {text}"),
    }
}

/// The values of a series line, `None` for a gap. `a+bxN` is N + 1 values.
fn values(text: &str) -> Vec<Option<f64>> {
    let mut out = Vec::new();
    for item in text.split_whitespace() {
        let (base, times) = match item.rsplit_once('x') {
            Some((base, times)) => (base, times.parse::<usize>().expect("a count")),
            None => (item, 0),
        };
        if base == "_" {
            out.extend(std::iter::repeat_n(None, times.max(1)));
            continue;
        }
        let split = base[1..].rfind(['+', '-']).map(|at| at + 1).filter(|&at| !base[..at].ends_with(['e', 'E']));
        let (first, increment) = match split {
            Some(at) if base != "stale" => (number(&base[..at]), number(&base[at..])),
            _ => (number(base), 0.0),
        };
        let mut value = first;
        for at in 0..=times {
            out.push(Some(value));
            if at < times && split.is_some() {
                value += increment;
            }
        }
    }
    out
}

impl Store {
    pub(super) fn load(&mut self, gap_ms: i64, lines: &[&str], nhcb: bool) {
        for line in lines {
            let line = line.replacen("@st ", " @st ", 1);
            let (labels, rest) = series_line(&line);
            if rest.contains("{{") || rest.starts_with("@st") {
                self.unloaded.push(labels);
                continue;
            }
            if nhcb {
                let name = labels.metric_name();
                let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
                let others = labels.iter().filter(|(n, _)| !["__name__", "le"].contains(n));
                let pairs = others.chain([("__name__", base.unwrap_or(name))]);
                self.unloaded.push(Labels::from_pairs(pairs).expect("labels"));
            }
            let samples = values(rest).into_iter().enumerate();
            let samples = samples.filter_map(|(at, value)| Some(Sample::new(at as i64 * gap_ms, value?)));
            self.source.push(labels, samples);
        }
    }

    /// Whether the query reads a series that is not here.
    pub(super) fn misses(&self, expr: &Expr) -> bool {
        let mut missed = false;
        expr.walk(&mut |expr| {
            let selector = match expr {
                Expr::VectorSelector(selector) => selector,
                Expr::MatrixSelector { selector, .. } => selector,
                _ => return,
            };
            let passes = |labels: &Labels| {
                selector.matchers.iter().all(|m| {
                    let value = labels.get(&m.name).unwrap_or("");
                    match m.op {
                        MatchOp::Equal => value == m.value,
                        MatchOp::NotEqual => value != m.value,
                        MatchOp::Regex => GoRegex::parse(&m.value).is_ok_and(|re| re.is_match(value)),
                        MatchOp::NotRegex => GoRegex::parse(&m.value).is_ok_and(|re| !re.is_match(value)),
                    }
                })
            };
            missed |= self.unloaded.iter().any(passes);
        });
        missed
    }
}

impl Eval {
    pub(super) fn parse(line: usize, head: &str, block: &[&str]) -> Self {
        let mut eval = Self { line, ..Self::default() };
        let (command, rest) = head.split_once(char::is_whitespace).expect("an eval");
        let legacy = command.strip_prefix("eval_").map(|kind| format!("expect {kind}"));
        eval.expects.extend(legacy);
        let rest = rest.trim();
        if let Some(rest) = rest.strip_prefix("range") {
            let mut words = rest.trim().splitn(7, char::is_whitespace);
            let mut next = || words.next().expect("a range");
            let (_, start, _, end, _, step) = (next(), ms(next()), next(), ms(next()), next(), ms(next()));
            eval.times = (start, end, step);
            eval.is_range = true;
            eval.query = next().trim().to_owned();
        } else {
            let rest = rest.trim_start_matches("instant").trim();
            let (at, query) = rest.trim_start_matches("at").trim().split_once(char::is_whitespace).expect("a query");
            let at = ms(at);
            eval.times = (at, at, 0);
            eval.query = query.trim().to_owned();
        }
        for line in block {
            if line.starts_with("expect ") || line.starts_with("expected_fail") {
                eval.expects.push((*line).to_owned());
            } else if line.contains("{{") {
                eval.has_histograms = true;
            } else if let Ok(Expr::Number { value, .. }) = duramen_syntax::parse(line) {
                eval.scalar = Some(value);
            } else {
                let (labels, rest) = series_line(line);
                eval.series.push((labels, values(rest)));
            }
        }
        eval
    }
}
