//! `info`: adds labels of info series about the same target to series.

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
use crate::exec::support::late_matchers::{LateMatchers, one_of};
use crate::exec::support::merged::Merged;
use crate::exec::support::operator::Operator;
use crate::grid::Grid;
use crate::label_set::{Projection, marked_as, printed, unmarked, value_of};
use crate::plan::function::InfoSelection;
use crate::vector::{self, Row, Vector};

/// The labels that identify the target of a series.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// Inputs: the series, and the info series. The values of the info series are the times of their
/// newest samples.
#[derive(Debug, PartialEq)]
pub(crate) struct Info {
    pub(crate) grid: Grid,
    pub(crate) selection: InfoSelection,
}

impl InfoSelection {
    /// Returns whether a series is an info series itself.
    fn is_info(&self, labels: &[u8]) -> bool {
        let name = value_of(labels, METRIC_NAME);
        self.names.iter().all(|matcher| matcher.matches(name))
    }
}

/// The info series by target, grouped by name.
type Infos<'a> = HashMap<Box<[u8]>, Vec<Vec<Row<'a>>>>;

/// The maximum number of values of a label in a matcher for info series. If there are more, that
/// label has no matcher.
const VALUES_MAX: usize = 256;

impl Info {
    /// Returns matchers for the info series about the targets of these series. They have few enough
    /// values to be looked up. `None` if there are no targets.
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
                // One value more than the maximum shows that there are too many.
                if !value.is_empty() && values.len() <= VALUES_MAX {
                    values.insert(value);
                }
            }
        }

        // A label that is absent in all series does not select targets.
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
                .find(|rows| value_of(rows[0].labels, METRIC_NAME) == name)
            {
                Some(rows) => rows.push(row),
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

            // A series without identifying labels does not belong to a target.
            let about = infos
                .get(labels.encoded())
                .filter(|_| LabelsIter::over(labels.encoded()).next().is_some());
            self.enrich(&row, about.map_or(&[], Vec::as_slice), &mut out)?;
        }

        Ok(out.finish(&self.grid))
    }

    /// Returns an error if two info series of the same name and target have newest samples at the
    /// same time. All steps with any series are checked, even if no series belongs to that target.
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

    /// Adds a series with the labels that it has at each step. They may differ between steps.
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

    /// Returns the labels of a series at a step. `None` drops the series there.
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

/// Returns the index of the info series with the newest sample.
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

    /// The matchers for the scan of the info series, by target.
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

    /// Reads the series first, because they determine which info series are read.
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
