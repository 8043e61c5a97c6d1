//! `info`: series with labels of the info series about the same target.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion_execution::SendableRecordBatchStream;
use duramen_model::labels::LabelsIter;
use duramen_model::{Labels, LabelsBuilder, METRIC_NAME, Matcher};
use hashbrown::HashMap;

use crate::error::Error;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::execution::Execution;
use crate::exec::support::late_matchers::LateMatchers;
use crate::exec::support::merged::Merged;
use crate::exec::support::operator::Operator;
use crate::grid::Grid;
use crate::label_set::{Projection, marked_as, printed, unmarked, value_of};
use crate::plan::function::InfoSelection;
use crate::vector::{self, Row, Vector};

/// The labels that say which target a series is of.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// Inputs: the series, and the info series with the time of their newest sample as value.
#[derive(Debug, PartialEq)]
pub(crate) struct Info {
    pub(crate) grid: Grid,
    pub(crate) selection: InfoSelection,
}

impl InfoSelection {
    /// Whether a series is an info series itself.
    fn is_info(&self, labels: &[u8]) -> bool {
        let name = value_of(labels, METRIC_NAME);
        self.names.iter().all(|matcher| matcher.matches(name))
    }
}

/// Series whose label has one of these values; "" is no such label. `None` where that cannot be
/// said.
fn one_of(name: &str, values: &BTreeSet<&str>) -> Option<Matcher> {
    let patterns: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    Matcher::regex(name, &patterns.join("|")).ok()
}

/// The pattern of a text.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }

        out.push(c);
    }

    out
}

/// The info series of one target, those of one name together.
type Infos<'a> = HashMap<Box<[u8]>, Vec<Vec<Row<'a>>>>;

/// The most values of a label that info series are asked for by; with more of them, all are read.
const VALUES_MAX: usize = 256;

impl Info {
    /// Matchers for the info series about the targets of these series, few enough to be looked up.
    /// `None`: there are no targets.
    fn targets(
        &self,
        input: &Vector,
        allowance: &Allowance,
    ) -> Result<Option<Vec<Matcher>>, Error> {
        let mut values: [BTreeSet<&str>; 2] = Default::default();
        let mut any = false;

        for row in input.rows() {
            allowance.check()?;

            let identity = IDENTIFYING.map(|name| value_of(row.labels, name));
            if identity == ["", ""] || self.selection.is_info(row.labels) {
                continue;
            }

            any = true;
            for (values, value) in values.iter_mut().zip(identity) {
                // One more says that there are too many.
                if !value.is_empty() && values.len() <= VALUES_MAX {
                    values.insert(value);
                }
            }
        }

        // A label that none of the series has says nothing.
        let few = IDENTIFYING
            .iter()
            .zip(&values)
            .filter(|(_, values)| (1..=VALUES_MAX).contains(&values.len()));

        Ok(any.then(|| {
            few.filter_map(|(name, values)| one_of(name, values))
                .collect()
        }))
    }

    fn evaluate(
        &self,
        inputs: &[Vector],
        allowance: &Allowance,
    ) -> Result<Vec<RecordBatch>, Error> {
        let target = Projection::keep(&IDENTIFYING.map(str::to_owned));
        let mut labels = LabelsBuilder::default();
        let mut infos: Infos<'_> = HashMap::new();

        for row in inputs[1].rows() {
            allowance.check()?;
            target.apply(row.labels, &mut labels);

            let names = infos.entry_ref(labels.encoded()).or_default();
            let name = value_of(row.labels, METRIC_NAME);

            match names
                .iter_mut()
                .find(|held| value_of(held[0].labels, METRIC_NAME) == name)
            {
                Some(held) => held.push(row),
                None => names.push(vec![row]),
            }
        }

        self.refuse_duplicates(&inputs[0], &infos, allowance)?;

        let mut out = Merged::new(self.grid.steps, allowance);

        for row in inputs[0].rows() {
            if self.selection.is_info(row.labels) {
                out.add_row(&row)?;
                continue;
            }

            target.apply(row.labels, &mut labels);

            // What says nothing about its target is not about any.
            let about = infos
                .get(labels.encoded())
                .filter(|_| LabelsIter::over(labels.encoded()).next().is_some());
            self.enrich(&row, about.map_or(&[], Vec::as_slice), &mut out)?;
        }

        Ok(out.finish(&self.grid))
    }

    /// Two info series of one name and target that were written last at the same time are an error,
    /// whether any series is of their target or not, at each step that has any series.
    fn refuse_duplicates(
        &self,
        input: &Vector,
        infos: &Infos<'_>,
        allowance: &Allowance,
    ) -> Result<(), Error> {
        let several: Vec<_> = infos
            .values()
            .flatten()
            .filter(|rows| rows.len() > 1 || rows[0].has_histograms())
            .collect();

        if several.is_empty() {
            return Ok(());
        }

        for step in 0..self.grid.steps {
            allowance.check()?;
            if input.rows().any(|row| row.is_present(step)) {
                several
                    .iter()
                    .try_for_each(|rows| newest(rows, step).map(|_| ()))?;
            }
        }

        Ok(())
    }

    /// Adds a series with the labels that it gets at each step, which may differ.
    fn enrich(
        &self,
        row: &Row<'_>,
        infos: &[Vec<Row<'_>>],
        out: &mut Merged<'_>,
    ) -> Result<(), Error> {
        let mut ids: HashMap<Vec<Option<usize>>, usize> = HashMap::new();
        let mut by_chosen: Vec<(Vec<Option<usize>>, Vec<usize>)> = Vec::new();

        for step in (0..self.grid.steps).filter(|&step| row.is_present(step)) {
            let chosen = infos
                .iter()
                .map(|rows| newest(rows, step))
                .collect::<Result<Vec<_>, _>>()?;

            let next = by_chosen.len();
            let id = *ids.entry(chosen).or_insert_with_key(|chosen| {
                by_chosen.push((chosen.clone(), Vec::new()));
                next
            });

            by_chosen[id].1.push(step);
        }

        for (chosen, steps) in by_chosen {
            let chosen = chosen
                .iter()
                .zip(infos)
                .filter_map(|(at, rows)| Some(rows[(*at)?].labels));

            let Some(labels) = self.enriched(row.labels, chosen)? else {
                continue;
            };
            out.add_cells_at(&labels, steps, |step| row.cell(step))?;
        }

        Ok(())
    }

    /// `None` takes the series away.
    fn enriched<'a>(
        &self,
        base: &[u8],
        infos: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Option<Box<[u8]>>, Error> {
        let mut added: Vec<(&str, &str)> = Vec::new();
        let mut any = false;

        for info in infos {
            any = true;

            for (name, value) in LabelsIter::over(info) {
                let wanted = self.selection.labels.is_empty()
                    || self.selection.labels.iter().any(|m| m.name == name);
                if name == METRIC_NAME || !wanted {
                    continue;
                }

                if added
                    .iter()
                    .any(|(held, other)| *held == name && *other != value)
                {
                    return Err(Error::execution(format!("conflicting label: {name}")));
                }
                if value_of(base, name).is_empty() && !added.contains(&(name, value)) {
                    added.push((name, value));
                }
            }
        }

        if !any && !self.selection.labels.iter().all(Matcher::matches_empty) {
            return Ok(None);
        }

        let labels = LabelsIter::over(unmarked(base)).chain(added);
        let labels = Labels::from_pairs(labels).expect("only labels that are not there were added");
        Ok(Some(marked_as(base, labels.encoded())))
    }
}

/// The place of the info series that was written last.
fn newest(rows: &[Row<'_>], step: usize) -> Result<Option<usize>, Error> {
    let mut held: Option<(usize, f64)> = None;

    for (at, row) in rows.iter().enumerate() {
        if row.has_histogram(step) {
            return Err(Error::execution("info sample should be float"));
        }

        let Some(time) = row.get(step) else { continue };

        match held {
            Some((other, newest)) if newest == time => {
                let ms = time * 1000.0;
                return Err(Error::execution(format!(
                    "found duplicate series for info metric: existing {} @ {ms}, new {} @ {ms}",
                    printed(rows[other].labels),
                    printed(row.labels),
                )));
            }
            Some((_, newest)) if newest > time => {}
            _ => held = Some((at, time)),
        }
    }

    Ok(held.map(|(at, _)| at))
}

impl Operator for Info {
    const NAME: &'static str = "InfoExec";

    /// What it asks of the scan of the info series: of what targets the series are.
    type Shared = LateMatchers;

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |matchers: &[Matcher]| {
            matchers
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(",")
        };

        write!(
            f,
            "names={{{}}}, labels={{{}}}",
            text(&self.selection.names),
            text(&self.selection.labels)
        )
    }

    fn schema(&self) -> SchemaRef {
        vector::schema(self.grid.steps)
    }

    /// The series first: they say which info series are read.
    fn execute(
        self: Arc<Self>,
        execution: Execution<LateMatchers>,
    ) -> datafusion_common::error::Result<SendableRecordBatchStream> {
        Ok(execution.whole(move |execution, allowance| async move {
            let steps = self.grid.steps;
            let series = execution.collect_apart(0, steps, &allowance).await?;

            let infos = match self.targets(&series, &allowance)? {
                None => Vector {
                    steps,
                    batches: Vec::new(),
                },
                Some(matchers) => {
                    execution.shared.set(matchers);
                    execution.collect_apart(1, steps, &allowance).await?
                }
            };

            allowance.grow(allowance.size())?;
            Ok(self.evaluate(&[series, infos], &allowance)?)
        }))
    }
}
