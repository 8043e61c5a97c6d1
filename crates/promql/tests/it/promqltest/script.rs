//! The lines of a script, read.

use std::collections::BTreeMap;

use duramen_model::{FloatHistogram, Histogram, Labels, Life, ResetHint, STALE_NAN, Sample};
use duramen_source::MemorySource;
use duramen_syntax::Expr;
use duramen_syntax::ast::MatchOp;

use super::sequence::{Item, durations, items};

/// What lies in the store of a script.
#[derive(Default)]
pub(super) struct Store {
    pub(super) source: MemorySource,
}

#[derive(Debug, Default)]
pub(super) struct Eval {
    pub(super) line: usize,
    pub(super) query: String,
    /// (start, end, step) of a range query; an instant is at `start`.
    pub(super) times: (i64, i64, i64),
    pub(super) is_range: bool,
    pub(super) expects: Vec<String>,
    pub(super) series: Vec<(Labels, Vec<Option<Item>>)>,
    pub(super) scalar: Option<f64>,
    /// Start, end and step of the points that an instant query for a range vector is to have.
    pub(super) range_vector: Option<(i64, i64, i64)>,
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

impl Store {
    pub(super) fn load(&mut self, gap_ms: i64, lines: &[&str], nhcb: bool) {
        let mut starts: Option<Vec<Option<i64>>> = None;
        let mut custom = BTreeMap::<Vec<(String, String)>, CustomBuckets>::new();
        for line in lines {
            let line = line.replacen("@st ", " @st ", 1);
            let (labels, rest) = series_line(&line);
            if let Some(rest) = rest.strip_prefix("@st") {
                starts = Some(durations(rest));
                continue;
            }
            let values = items(rest);
            if nhcb {
                CustomBuckets::collect(&mut custom, &labels, &values);
            }
            let starts = starts.take().unwrap_or_default();
            let mut before: Option<FloatHistogram> = None;
            for (at, value) in values.into_iter().enumerate() {
                let Some(value) = value else { continue };
                let ts_ms = at as i64 * gap_ms;
                let start_ms = starts.get(at).copied().flatten().map_or(0, |offset_ms| ts_ms + offset_ms);
                let life = Life { start_ms, ttl_ms: 0 };
                match value {
                    Item::Float(value) => {
                        before = None;
                        self.source.push_with_life(labels.clone(), Sample::new(ts_ms, value), life);
                    }
                    Item::Histogram { mut histogram, .. } => {
                        // A store that keeps histograms in chunks knows of all but the first of a chunk that they follow without reset.
                        let follows = before.as_ref().is_some_and(|before| !histogram.is_reset_after(before));
                        if histogram.hint == ResetHint::Unknown && follows {
                            histogram.hint = ResetHint::NotReset;
                        }
                        before = Some((*histogram).clone());
                        self.source.push_histogram(labels.clone(), ts_ms, life, &Histogram::from(&*histogram));
                    }
                }
            }
        }
        for (labels, buckets) in custom {
            let labels = Labels::from_pairs(labels.iter().map(|(n, v)| (n.as_str(), v.as_str()))).expect("labels");
            for (at, histogram) in buckets.histograms() {
                let histogram = Histogram::from(&histogram);
                self.source.push_histogram(labels.clone(), at as i64 * gap_ms, Life::NONE, &histogram);
            }
        }
    }
}

/// The classic series of one histogram.
#[derive(Default)]
struct CustomBuckets {
    /// Bounds, each with its cumulative counts by slot.
    buckets: Vec<(f64, Vec<Option<f64>>)>,
    sum: Vec<Option<f64>>,
    count: Vec<Option<f64>>,
}

impl CustomBuckets {
    fn collect(all: &mut BTreeMap<Vec<(String, String)>, Self>, labels: &Labels, values: &[Option<Item>]) {
        let name = labels.metric_name();
        let Some((base, suffix)) =
            ["_bucket", "_sum", "_count"].iter().find_map(|suffix| Some((name.strip_suffix(suffix)?, *suffix)))
        else {
            return;
        };
        let floats = values.iter().map(|value| value.as_ref().and_then(Item::float)).collect();
        let bound = labels.get("le").and_then(|le| le.parse::<f64>().ok()).filter(|bound| !bound.is_nan());
        if suffix == "_bucket" && bound.is_none() {
            return;
        }
        let others = labels.iter().filter(|(n, _)| !["__name__", "le"].contains(n));
        let mut pairs: Vec<_> = others.map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        pairs.push(("__name__".to_owned(), base.to_owned()));
        pairs.sort();
        let held = all.entry(pairs).or_default();
        match (suffix, bound) {
            ("_bucket", Some(bound)) => held.buckets.push((bound, floats)),
            ("_sum", _) => held.sum = floats,
            _ => held.count = floats,
        }
    }

    /// A histogram for each slot that has any value.
    fn histograms(mut self) -> Vec<(usize, FloatHistogram)> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let slots = self.buckets.iter().map(|(_, counts)| counts.len()).max().unwrap_or(0);
        let slots = slots.max(self.sum.len()).max(self.count.len());
        (0..slots).filter_map(|at| Some((at, self.histogram(at)?))).collect()
    }

    fn histogram(&self, at: usize) -> Option<FloatHistogram> {
        let of = |values: &Vec<Option<f64>>| values.get(at).copied().flatten();
        let present: Vec<(f64, f64)> =
            self.buckets.iter().filter_map(|(bound, counts)| Some((*bound, of(counts)?))).collect();
        let (count, sum) = (of(&self.count), of(&self.sum));
        if present.is_empty() && count.is_none() && sum.is_none() {
            return None;
        }
        let count = count.or_else(|| present.last().map(|(_, count)| *count)).unwrap_or(0.0);
        let bounds = present.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite()).collect();
        let mut histogram = FloatHistogram::empty(duramen_model::CUSTOM_BUCKETS_SCHEMA, bounds);
        (histogram.count, histogram.sum) = (count, sum.unwrap_or(0.0));
        let infinite = present.last().is_some_and(|(bound, _)| *bound == f64::INFINITY);
        let cumulative = present.iter().map(|(_, count)| *count).chain((!infinite).then_some(count));
        let mut before = 0.0;
        for (index, cumulative) in (0..).zip(cumulative) {
            let count = cumulative - before;
            before = cumulative;
            histogram.positive.push(duramen_model::histogram::BucketCount { index, count });
        }
        histogram.compact();
        Some(histogram)
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
            let (at, query) = match rest.strip_prefix("at ") {
                Some(rest) => rest.trim().split_once(char::is_whitespace).expect("a query"),
                None => ("0", rest),
            };
            let at = ms(at);
            eval.times = (at, at, 0);
            eval.query = query.trim().to_owned();
        }
        for line in block {
            if let Some(range) = line.strip_prefix("expect range vector") {
                let words: Vec<&str> = range.split_whitespace().collect();
                let ["from", start, "to", end, "step", step] = words[..] else { panic!("no range: {line}") };
                eval.range_vector = Some((ms(start), ms(end), ms(step)));
                eval.times = (ms(end), ms(end), 0);
            } else if line.starts_with("expect ") || line.starts_with("expected_fail") {
                eval.expects.push((*line).to_owned());
            } else if let (false, Ok(Expr::Number { value, .. })) = (line.contains("{{"), duramen_syntax::parse(line)) {
                eval.scalar = Some(value);
            } else {
                let (labels, rest) = series_line(line);
                eval.series.push((labels, items(rest)));
            }
        }
        eval
    }
}

pub(super) fn number(text: &str) -> f64 {
    if text == "stale" {
        return STALE_NAN;
    }
    match duramen_syntax::parse(text) {
        Ok(Expr::Number { value, .. }) => value,
        _ => text.parse().unwrap_or_else(|_| panic!("no number: {text}")),
    }
}
