//! Function calls.

use duramen_model::quoted::quote;
use duramen_model::{GoRegex, Labels, METRIC_NAME};
use duramen_syntax::ast::{LabelMatcher, MatchOp, ValueType};
use duramen_syntax::{Expr, PosRange};

use crate::error::Error;
use crate::grid::Grid;
use crate::kernels::cell::CellFunction;
use crate::kernels::date::DatePart;
use crate::kernels::extended::Ends;
use crate::kernels::range::RangeFunction;
use crate::kernels::seconds;
use crate::plan::function::{
    CellChange, Direction, HistogramFunction, HistogramPos, LabelValue, ScalarFunction, SortKey,
};
use crate::plan::lookup::{HistogramParts, Starts, StepFunction, StepPos};
use crate::plan::node::{Names, Node, Plan};
use crate::plan::planner::Planner;
use crate::plan::planner::bare;

impl Planner {
    pub(crate) fn call(
        &self,
        name: &'static str,
        args: &[Expr],
        call: &Expr,
        grid: Grid,
    ) -> Result<Plan, Error> {
        match name {
            "histogram_avg" | "histogram_count" | "histogram_sum" => {
                self.reading(HistogramParts::Totals)
            }
            "histogram_fraction" | "histogram_quantile" | "histogram_quantiles" => {
                self.reading(HistogramParts::All)
            }
            _ => return self.call_here(name, args, call, grid),
        }
        .call_here(name, args, call, grid)
    }

    fn call_here(
        &self,
        name: &'static str,
        args: &[Expr],
        call: &Expr,
        grid: Grid,
    ) -> Result<Plan, Error> {
        if RangeFunction::named(name).is_some() {
            return self.range_function(name, args, grid);
        }

        match (name, args) {
            ("absent", [arg]) => self.absent(self.plan(arg, grid)?, arg, grid),
            ("absent_over_time", [arg]) => {
                let present = self.range_function_as("last_over_time", name, args, grid)?;
                self.absent(present, arg, grid)
            }
            ("histogram_fraction", [lower, upper, buckets]) => {
                self.histogram(HistogramFunction::Fraction, buckets, &[lower, upper], grid)
            }
            ("histogram_quantile", [quantile, buckets]) => {
                self.histogram(HistogramFunction::Quantile, buckets, &[quantile], grid)
            }
            ("histogram_quantiles", [buckets, label, quantiles @ ..]) => {
                let label = label_argument(label)?.to_owned();
                let quantiles: Vec<&Expr> = quantiles.iter().collect();

                self.histogram(
                    HistogramFunction::Quantiles(label),
                    buckets,
                    &quantiles,
                    grid,
                )
            }
            ("info", [input]) => self.info(input, &[], grid),
            ("info", [input, selector]) => match bare(selector) {
                Expr::VectorSelector(selector) => self.info(input, &selector.matchers, grid),
                other => Err(Error::invalid(format!(
                    "expected labels, got {}",
                    other.value_type().documented()
                ))),
            },
            ("label_join", [input, target, separator, sources @ ..]) => {
                self.label_join(input, target, separator, sources, grid)
            }
            ("label_replace", [input, target, template, source, pattern]) => {
                let value = LabelValue::Replace {
                    source: text(source)?.to_owned(),
                    pattern: self.pattern_of(text(pattern)?)?,
                    template: text(template)?.to_owned(),
                };

                self.relabel(input, text(target)?, value, grid)
            }
            ("scalar", [arg]) => Ok(Plan::scalar(
                ScalarFunction::OfVector,
                vec![self.plan(arg, grid)?],
                grid,
            )),
            ("sort", [arg]) => self.sort(SortKey::Value, Direction::Ascending, arg, call, grid),
            ("sort_by_label", [arg, labels @ ..]) => {
                self.sort(label_key(labels)?, Direction::Ascending, arg, call, grid)
            }
            ("sort_by_label_desc", [arg, labels @ ..]) => {
                self.sort(label_key(labels)?, Direction::Descending, arg, call, grid)
            }
            ("sort_desc", [arg]) => {
                self.sort(SortKey::Value, Direction::Descending, arg, call, grid)
            }
            ("timestamp", [arg]) if matches!(bare(arg), Expr::VectorSelector(_)) => {
                let Expr::VectorSelector(selector) = bare(arg) else {
                    unreachable!("the guard says so")
                };
                self.selector_steps(selector, StepFunction::LatestTime, grid)
            }
            ("start_timestamp", [arg]) => match bare(arg) {
                Expr::VectorSelector(selector) if self.starts == Starts::Known => {
                    self.selector_steps(selector, StepFunction::LatestStart, grid)
                }
                _ => {
                    // The points of an expression have no start time.
                    let plan = self.plan(arg, grid)?;
                    Ok(self.map(
                        CellChange::Function(CellFunction::Nothing),
                        vec![plan],
                        grid,
                        call.pos(),
                    ))
                }
            },
            ("vector", [arg]) => self.plan(arg, grid),
            _ => match self.scalar_function(name, args, grid)? {
                Some(plan) => Ok(plan),
                None => self.cell_function(name, args, call, grid),
            },
        }
    }

    fn label_join(
        &self,
        input: &Expr,
        target: &Expr,
        separator: &Expr,
        sources: &[Expr],
        grid: Grid,
    ) -> Result<Plan, Error> {
        let source = |source: &str| {
            let fault = |_| {
                Error::execution(format!(
                    "invalid source label name in label_join(): {source}"
                ))
            };

            label_name(source).map(str::to_owned).map_err(fault)
        };

        let sources = sources.iter().map(|expr| text(expr).and_then(source));
        let sources = sources.collect::<Result<_, _>>()?;
        let value = LabelValue::Join {
            sources,
            separator: text(separator)?.to_owned(),
        };

        self.relabel(input, text(target)?, value, grid)
    }

    fn range_function(&self, name: &str, args: &[Expr], grid: Grid) -> Result<Plan, Error> {
        self.range_function_as(name, name, args, grid)
    }

    /// Plans a range function that is a part of the function in the text, `written`.
    fn range_function_as(
        &self,
        name: &str,
        written: &str,
        args: &[Expr],
        grid: Grid,
    ) -> Result<Plan, Error> {
        let missing = || Error::invalid("a range function needs a range vector");
        let function = RangeFunction::named(name)
            .ok_or_else(|| Error::unsupported(format!("function {name:?}")))?;
        let vector = args
            .iter()
            .find(|arg| arg.value_type() == ValueType::Matrix)
            .ok_or_else(missing)?;

        let scalars: Vec<&Expr> = args
            .iter()
            .filter(|arg| arg.value_type() == ValueType::Scalar)
            .collect();

        let arguments = scalars
            .iter()
            .map(|argument| self.plan(argument, grid))
            .collect::<Result<_, _>>()?;

        let argument = scalars
            .first()
            .filter(|_| function == RangeFunction::Quantile);
        let pos = match (argument, bare(vector)) {
            (Some(argument), _) => bare(argument).pos(),
            // Prometheus replaces the subquery by its samples, which have no position.
            (None, Expr::Subquery { .. }) => PosRange::new(0, 0),
            (None, vector) => vector.pos(),
        };

        let range = self.range_vector(vector, grid)?;
        if let Some((ends, _)) = range
            .lookup
            .ends
            .filter(|(ends, _)| !function.takes_ends(*ends))
        {
            return Err(misplaced(ends, written));
        }

        let argument = scalars.first().map_or(pos, |argument| bare(argument).pos());
        let pos = StepPos {
            samples: pos,
            argument,
        };

        self.steps(range, StepFunction::Range(function), arguments, grid, pos)
    }

    fn absent(&self, input: Plan, arg: &Expr, grid: Grid) -> Result<Plan, Error> {
        let labels = absent_labels(bare(arg));
        Ok(Plan {
            node: Node::Absent {
                labels,
                input: Box::new(input),
            },
            grid,
            names: Names::None,
        })
    }

    fn histogram(
        &self,
        function: HistogramFunction,
        buckets: &Expr,
        args: &[&Expr],
        grid: Grid,
    ) -> Result<Plan, Error> {
        let inputs = std::iter::once(&buckets)
            .chain(args)
            .map(|arg| self.plan(arg, grid))
            .collect::<Result<_, _>>()?;

        let arguments: Vec<_> = args.iter().map(|arg| bare(arg).pos()).collect();
        let pos = HistogramPos {
            histograms: bare(buckets).pos(),
            arguments,
        };

        Ok(Plan {
            node: Node::Histogram {
                function,
                inputs,
                pos,
            },
            grid,
            names: Names::None,
        })
    }

    fn relabel(
        &self,
        input: &Expr,
        target: &str,
        value: LabelValue,
        grid: Grid,
    ) -> Result<Plan, Error> {
        let function = match value {
            LabelValue::Replace { .. } => "label_replace",
            LabelValue::Join { .. } => "label_join",
        };

        let fault = |_| {
            Error::execution(format!(
                "invalid destination label name in {function}(): {target}"
            ))
        };

        let target = label_name(target).map_err(fault)?.to_owned();
        let input = self.plan(input, grid)?;

        let names = if target == METRIC_NAME {
            Names::Any
        } else {
            input.names.clone()
        };

        Ok(Plan {
            node: Node::Relabel {
                target,
                value,
                input: Box::new(input),
            },
            grid,
            names,
        })
    }

    fn pattern_of(&self, pattern: &str) -> Result<GoRegex, Error> {
        self.regexes
            .read(pattern)
            .map_err(|error| match error.limit() {
                Some(_) => Error::invalid(error.to_string()),
                None => Error::execution(format!(
                    "invalid regular expression in label_replace(): {pattern}"
                )),
            })
    }

    fn sort(
        &self,
        key: SortKey,
        direction: Direction,
        arg: &Expr,
        call: &Expr,
        grid: Grid,
    ) -> Result<Plan, Error> {
        let input = self.plan(arg, grid)?;
        let names = input.names.clone();

        Ok(Plan {
            node: Node::Sort {
                key,
                direction,
                input: Box::new(input),
                pos: call.pos(),
            },
            grid,
            names,
        })
    }

    fn scalar_function(
        &self,
        name: &'static str,
        args: &[Expr],
        grid: Grid,
    ) -> Result<Option<Plan>, Error> {
        let number = |ms: i64| ScalarFunction::Number(seconds(ms));
        let function = match name {
            "end" => number(self.times.end_ms),
            "max_of" => ScalarFunction::MaxOf,
            "min_of" => ScalarFunction::MinOf,
            "pi" => ScalarFunction::Number(std::f64::consts::PI),
            "range" => number(self.times.range_ms()),
            "start" => number(self.times.start_ms),
            // If start and end are equal, `step()` is 0 here. In durations it is still the step of
            // the query.
            "step" if self.times.range_ms() == 0 => number(0),
            "step" => number(self.times.step_ms),
            "time" => ScalarFunction::Time,
            _ => return Ok(None),
        };

        let inputs = args
            .iter()
            .map(|arg| self.plan(arg, grid))
            .collect::<Result<_, _>>()?;

        Ok(Some(Plan::scalar(function, inputs, grid)))
    }

    fn cell_function(
        &self,
        name: &'static str,
        args: &[Expr],
        call: &Expr,
        grid: Grid,
    ) -> Result<Plan, Error> {
        let function = CellFunction::named(name)
            .filter(|_| call.value_type() == ValueType::Vector)
            .ok_or_else(|| Error::unsupported(format!("function {name:?}")))?;
        let mut inputs = args
            .iter()
            .map(|arg| self.plan(arg, grid))
            .collect::<Result<Vec<_>, _>>()?;

        if inputs.is_empty() && DatePart::named(name).is_some() {
            inputs.push(Plan::scalar(ScalarFunction::Time, Vec::new(), grid));
        }

        if matches!(function, CellFunction::Round) && inputs.len() == 1 {
            inputs.push(Plan::scalar(ScalarFunction::Number(1.0), Vec::new(), grid));
        }

        Ok(self.map(CellChange::Function(function), inputs, grid, call.pos()))
    }
}

fn label_key(labels: &[Expr]) -> Result<SortKey, Error> {
    let names = labels
        .iter()
        .map(|label| text(label).and_then(label_name).map(str::to_owned));
    Ok(SortKey::Labels(names.collect::<Result<_, _>>()?))
}

fn misplaced(ends: Ends, function: &str) -> Error {
    let (modifier, functions) = match ends {
        Ends::Anchored => ("anchored", "changes, delta, increase, rate, resets"),
        Ends::Smoothed => ("smoothed", "delta, increase, rate"),
    };

    Error::execution(format!(
        "{modifier} modifier can only be used with: {functions} - not with {function}"
    ))
}

/// Returns the labels that `absent` can derive from a selector: those with exactly one matcher,
/// which must be `=`. The metric name is left out.
fn absent_labels(expr: &Expr) -> Labels {
    let matchers: &[LabelMatcher] = match expr {
        Expr::VectorSelector(selector) => &selector.matchers,
        Expr::MatrixSelector { selector, .. } => &selector.matchers,
        _ => &[],
    };

    let once =
        |m: &&LabelMatcher| matchers.iter().filter(|other| other.name == m.name).count() == 1;
    let known = matchers
        .iter()
        .filter(|m| m.name != METRIC_NAME && m.op == MatchOp::Equal)
        .filter(once);

    Labels::from_pairs(known.map(|m| (m.name.as_str(), m.value.as_str())))
        .unwrap_or_else(Labels::empty)
}

/// Returns the text of a string argument.
pub(crate) fn text(expr: &Expr) -> Result<&str, Error> {
    match bare(expr) {
        Expr::String { value, .. } => Ok(value),
        other => Err(Error::invalid(format!(
            "expected a string, got {}",
            other.value_type().documented()
        ))),
    }
}

/// Returns a string argument that is the name of a label. The error for an invalid name quotes it
/// as it was written, including bytes that are not UTF-8.
pub(crate) fn label_argument(expr: &Expr) -> Result<&str, Error> {
    let name = text(expr)?;
    label_name(name).map_err(|_| Error::execution(format!("invalid label name {}", bare(expr))))
}

/// Checks the name of a label. U+FFFD stands for bytes that were not UTF-8, so no name may contain
/// it.
pub(crate) fn label_name(name: &str) -> Result<&str, Error> {
    if name.is_empty() || name.contains(char::REPLACEMENT_CHARACTER) {
        return Err(Error::execution(format!(
            "invalid label name {}",
            quote(name)
        )));
    }

    Ok(name)
}
