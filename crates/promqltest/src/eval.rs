//! An `eval` command: the query, the time it is evaluated at, and the expected answer.

use std::fmt;

use duramen_model::{GoRegex, Labels};
use duramen_syntax::Expr;

use crate::item::Item;
use crate::line::{Line, ScriptError};
use crate::sequence::VALUES_MAX;
use crate::start_times::signed_ms;
use crate::{sequence, series};

/// One `eval` command with the lines of its block.
#[derive(Clone, Debug)]
pub(crate) struct Eval {
    pub(crate) line: usize,
    pub(crate) query: String,
    pub(crate) expr: Expr,
    pub(crate) times: Times,
    pub(crate) expected: Expected,
    /// Whether the series must come in the order of the script.
    pub(crate) ordered: bool,
    pub(crate) fail: Option<Text>,
    pub(crate) warnings: Annotations,
    pub(crate) infos: Annotations,
}

/// The time or the range of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    Instant(i64),
    Range(Steps),
}

/// The times `start_ms`, `start_ms + step_ms` and so on, up to `end_ms` inclusive. `step_ms` is
/// above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) step_ms: i64,
}

#[derive(Clone, Debug)]
pub(crate) enum Expected {
    Scalar(f64),
    String(String),
    /// One value for each series. If there are no series, the answer must be empty.
    Vector(Vec<(Labels, Item)>),
    /// The values of each series at the steps; `None` where there is none.
    Matrix(Steps, Vec<(Labels, Vec<Option<Item>>)>),
}

/// The expected annotations of one kind: warnings or infos.
#[derive(Clone, Debug, Default)]
pub(crate) struct Annotations {
    /// Each text must match at least one annotation. Unless the list is empty, each annotation must
    /// match one of the texts.
    pub(crate) wanted: Vec<Text>,
    /// Whether no annotation may come.
    pub(crate) none: bool,
}

/// What a message must be.
#[derive(Clone)]
pub(crate) enum Text {
    Any,
    Exact(String),
    /// The pattern as written, and the regex that searches for it anywhere in the message.
    Matching(String, GoRegex),
}

impl Text {
    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(wanted) => text == wanted,
            Self::Matching(_, regex) => regex.is_match(text),
        }
    }

    fn matching(pattern: &str) -> Result<Self, String> {
        let anywhere = GoRegex::parse(&format!("(?s:.*)(?:{pattern})(?s:.*)"));
        Ok(Self::Matching(
            pattern.to_owned(),
            anywhere.map_err(|error| error.to_string())?,
        ))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => write!(f, "anything"),
            Self::Exact(text) => write!(f, "{text:?}"),
            Self::Matching(pattern, _) => write!(f, "/{pattern}/"),
        }
    }
}

impl Eval {
    /// Reads an `eval` and the lines of its block. Also returns how many lines of the block belong
    /// to it.
    pub(crate) fn parse(
        (line, head): Line<'_>,
        block: &[Line<'_>],
    ) -> Result<(Self, usize), ScriptError> {
        let at = |reason: String| ScriptError::at(line, reason);
        let (command, rest) = word(head);
        let (times, query) = times(rest).map_err(at)?;
        let expr = duramen_syntax::parse(query).map_err(|error| at(error.to_string()))?;

        let mut reader = Reader {
            legacy_fail: false,
            range: None,
            lines: Lines::default(),
        };

        let mut eval = Self {
            line,
            query: query.to_owned(),
            expr,
            times,
            expected: Expected::Vector(Vec::new()),
            ordered: false,
            fail: None,
            warnings: Annotations::default(),
            infos: Annotations::default(),
        };

        reader.legacy(&mut eval, command).map_err(at)?;

        let mut used = 0;

        for (line, text) in block {
            used += 1;

            let next = reader
                .line(&mut eval, text)
                .map_err(|reason| ScriptError::at(*line, reason))?;
            if next == Next::Command {
                break;
            }
        }

        reader.finish(&mut eval).map_err(at)?;
        Ok((eval, used))
    }
}

/// What comes after a line of an `eval`: another line of it, or the next command.
#[derive(PartialEq)]
enum Next {
    Line,
    Command,
}

/// The lines of an `eval`, while they are read.
struct Reader {
    legacy_fail: bool,
    /// The steps of `expect range vector`.
    range: Option<Steps>,
    lines: Lines,
}

#[derive(Default)]
struct Lines {
    series: Vec<(Labels, Vec<Option<Item>>)>,
    scalar: Option<f64>,
    string: Option<String>,
}

impl Reader {
    /// Reads the old commands: `eval_fail`, `eval_ordered`, `eval_warn` and `eval_info`.
    fn legacy(&mut self, eval: &mut Eval, command: &str) -> Result<(), String> {
        match command.to_lowercase().strip_prefix("eval").unwrap_or("") {
            "" => {}
            "_fail" => {
                self.legacy_fail = true;
                eval.fail = Some(Text::Any);
            }
            "_ordered" if matches!(eval.times, Times::Instant(_)) => eval.ordered = true,
            "_warn" => eval.warnings.wanted.push(Text::Any),
            "_info" => eval.infos.wanted.push(Text::Any),
            _ => return Err(format!("no command: {command:?}")),
        }

        Ok(())
    }

    fn line(&mut self, eval: &mut Eval, text: &str) -> Result<Next, String> {
        if self.legacy_fail {
            if let Some(message) = text.strip_prefix("expected_fail_message") {
                eval.fail = Some(Text::Exact(message.trim().to_owned()));
                return Ok(Next::Command);
            }

            if let Some(pattern) = text.strip_prefix("expected_fail_regexp") {
                eval.fail = Some(Text::matching(pattern.trim())?);
                return Ok(Next::Command);
            }
        }

        let (first, rest) = word(text);
        if first == "expect" {
            return self.expect(eval, rest).map(|()| Next::Line);
        }

        if let (false, Ok(value)) = (text.contains(['{', ' ', '\t']), crate::number::number(text)) {
            self.lines.scalar = Some(value);
            return Ok(Next::Command);
        }

        let (labels, values) = series::split(text)?;
        let values = sequence::items(values)?;

        if self.lines.series.iter().any(|(known, _)| *known == labels) {
            return Err(format!("a series stands twice: {labels}"));
        }

        self.lines.series.push((labels, values));
        Ok(Next::Line)
    }

    fn expect(&mut self, eval: &mut Eval, rest: &str) -> Result<(), String> {
        let (kind, rest) = word(rest);

        match kind {
            "range" => {
                let (start_ms, end_ms, step_ms) =
                    match rest.split_whitespace().collect::<Vec<_>>()[..] {
                        ["vector", "from", start, "to", end, "step", step] => {
                            (signed_ms(start)?, signed_ms(end)?, signed_ms(step)?)
                        }
                        _ => {
                            return Err(
                                "it is: expect range vector from START to END step STEP".to_owned()
                            );
                        }
                    };

                if !matches!(eval.times, Times::Instant(_)) {
                    return Err("a range query has no range vector".to_owned());
                }

                eval.times = Times::Instant(end_ms);
                self.range = Some(steps(start_ms, end_ms, step_ms)?);
            }
            "string" => self.lines.string = Some(string(rest)?),
            "ordered" if rest.is_empty() && matches!(eval.times, Times::Instant(_)) => {
                eval.ordered = true
            }
            "no_warn" if rest.is_empty() => eval.warnings.none = true,
            "no_info" if rest.is_empty() => eval.infos.none = true,
            "warn" => eval.warnings.wanted.push(wanted(rest)?),
            "info" => eval.infos.wanted.push(wanted(rest)?),
            "fail" if eval.fail.is_some() => return Err("a query fails once".to_owned()),
            "fail" => eval.fail = Some(wanted(rest)?),
            _ => return Err(format!("nothing to expect: {kind:?}")),
        }

        Ok(())
    }

    /// Combines the lines into the expected answer.
    fn finish(self, eval: &mut Eval) -> Result<(), String> {
        if [&eval.warnings, &eval.infos]
            .iter()
            .any(|annotations| annotations.none && !annotations.wanted.is_empty())
        {
            return Err("annotations are expected and are not".to_owned());
        }

        let Lines {
            series,
            scalar,
            string,
        } = self.lines;

        let steps = match eval.times {
            Times::Range(steps) => Some(steps),
            Times::Instant(_) => self.range,
        };

        eval.expected = match (scalar, string, steps) {
            (Some(value), None, None) if series.is_empty() => Expected::Scalar(value),
            (None, Some(text), None) if series.is_empty() => Expected::String(text),
            (None, None, Some(steps)) => {
                if let Some((labels, _)) = series
                    .iter()
                    .find(|(_, values)| values.len() > steps.count())
                {
                    return Err(format!("more values than steps: {labels}"));
                }
                Expected::Matrix(steps, series)
            }
            (None, None, None) => {
                let one = |(labels, values): (Labels, Vec<Option<Item>>)| {
                    match <[Option<Item>; 1]>::try_from(values) {
                        Ok([Some(item)]) => Ok((labels, item)),
                        _ => Err(format!("an instant has one value of a series: {labels}")),
                    }
                };

                Expected::Vector(series.into_iter().map(one).collect::<Result<_, _>>()?)
            }
            _ => return Err("more than one kind of answer is expected".to_owned()),
        };

        Ok(())
    }
}

impl Steps {
    pub(crate) fn count(&self) -> usize {
        usize::try_from((self.end_ms - self.start_ms) / self.step_ms + 1).unwrap_or(0)
    }
}

fn steps(start_ms: i64, end_ms: i64, step_ms: i64) -> Result<Steps, String> {
    if end_ms < start_ms || step_ms <= 0 {
        return Err("a range ends no earlier than it starts and has a step above zero".to_owned());
    }

    let steps = Steps {
        start_ms,
        end_ms,
        step_ms,
    };

    if steps.count() > VALUES_MAX {
        return Err(format!("too many steps. values_max=`{VALUES_MAX}`"));
    }

    Ok(steps)
}

/// Reads the times after `eval`. Returns them and the query after them.
fn times(text: &str) -> Result<(Times, &str), String> {
    let (kind, rest) = word(text);
    let (times, query) = match kind {
        "instant" => match word(rest) {
            ("at", rest) => {
                let (at, query) = word(rest);
                (Times::Instant(signed_ms(at)?), query)
            }
            _ => (Times::Instant(0), rest),
        },
        "range" => {
            let mut rest = rest;
            let mut next = |keyword: &str| match word(rest) {
                (found, behind) if found == keyword => {
                    let (value, behind) = word(behind);
                    rest = behind;
                    signed_ms(value)
                }
                _ => Err(format!("{keyword:?} is missing")),
            };

            let start_ms = next("from")?;
            let end_ms = next("to")?;
            let step_ms = next("step")?;

            (Times::Range(steps(start_ms, end_ms, step_ms)?), rest)
        }
        other => return Err(format!("it is instant or range: {other:?}")),
    };

    if query.is_empty() {
        Err("there is no query".to_owned())
    } else {
        Ok((times, query))
    }
}

/// Splits off the first word. Returns it and the rest.
fn word(text: &str) -> (&str, &str) {
    text.split_once(char::is_whitespace)
        .map_or((text, ""), |(word, rest)| (word, rest.trim_start()))
}

fn wanted(text: &str) -> Result<Text, String> {
    match text.split_once(':') {
        None if text.is_empty() => Ok(Text::Any),
        Some(("msg", message)) => Ok(Text::Exact(message.trim().to_owned())),
        Some(("regex", pattern)) => Text::matching(pattern.trim()),
        _ => Err(format!("it is msg: or regex: {text:?}")),
    }
}

fn string(text: &str) -> Result<String, String> {
    match &duramen_syntax::parse(text) {
        Ok(Expr::String { value, .. }) if !text.starts_with('\'') => Ok(value.clone()),
        _ => Err(format!("no string: {text:?}")),
    }
}
