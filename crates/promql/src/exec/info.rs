//! `info`: series with labels of the info series about the same target.

use std::fmt;

use arrow::array::RecordBatch;
use datafusion::execution::memory_pool::MemoryReservation;
use duramen_model::labels::LabelsIter;
use duramen_model::{Labels, LabelsBuilder, METRIC_NAME, Matcher};
use hashbrown::HashMap;

use crate::error::Error;
use crate::exec::merge::Merged;
use crate::exec::operator::WholeOperator;
use crate::grid::Grid;
use crate::label_set::{Projection, marked_as, printed, unmarked, value_of};
use crate::vector::{Row, Vector};

/// The labels that say which target a series is of.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// Inputs: the series, and the info series with the time of their newest sample as value.
#[derive(Debug)]
pub(crate) struct Info {
    pub(crate) grid: Grid,
    pub(crate) selection: InfoSelection,
}

/// What is taken from where.
#[derive(Clone, Debug)]
pub(crate) struct InfoSelection {
    /// Of the names of info series. A series whose name all of them match is an info series itself and stays as it is.
    pub(crate) names: Vec<Matcher>,
    /// Of the labels that are taken; without any, all are.
    pub(crate) labels: Vec<Matcher>,
}

/// The info series of one target, those of one name together.
type Infos<'a> = HashMap<Box<[u8]>, Vec<Vec<Row<'a>>>>;

impl Info {
    fn evaluate(&self, inputs: &[Vector], account: &MemoryReservation) -> Result<Vec<RecordBatch>, Error> {
        let target = Projection::keep(&IDENTIFYING.map(str::to_owned));
        let mut labels = LabelsBuilder::default();
        let mut infos: Infos<'_> = HashMap::new();
        for row in inputs[1].rows() {
            target.apply(row.labels, &mut labels);
            let names = infos.entry_ref(labels.encoded()).or_default();
            let name = value_of(row.labels, METRIC_NAME);
            match names.iter_mut().find(|held| value_of(held[0].labels, METRIC_NAME) == name) {
                Some(held) => held.push(row),
                None => names.push(vec![row]),
            }
        }
        let mut out = Merged::new(self.grid.steps, account);
        for row in inputs[0].rows() {
            let name = value_of(row.labels, METRIC_NAME);
            let names = &self.selection.names;
            if !names.is_empty() && names.iter().all(|matcher| matcher.matches(name)) {
                out.add_row(&row)?;
                continue;
            }
            target.apply(row.labels, &mut labels);
            // What says nothing about its target is not about any.
            let about = infos.get(labels.encoded()).filter(|_| LabelsIter::over(labels.encoded()).next().is_some());
            self.enrich(&row, about.map_or(&[], Vec::as_slice), &mut out)?;
        }
        Ok(out.finish(&self.grid))
    }

    /// Adds a series with the labels that it gets at each step, which may differ.
    fn enrich(&self, row: &Row<'_>, infos: &[Vec<Row<'_>>], out: &mut Merged<'_>) -> Result<(), Error> {
        let mut by_chosen: Vec<(Vec<Option<usize>>, Vec<usize>)> = Vec::new();
        for step in (0..self.grid.steps).filter(|&step| row.is_present(step)) {
            let chosen = infos.iter().map(|rows| newest(rows, step)).collect::<Result<Vec<_>, _>>()?;
            match by_chosen.iter_mut().find(|(held, _)| *held == chosen) {
                Some((_, steps)) => steps.push(step),
                None => by_chosen.push((chosen, vec![step])),
            }
        }
        for (chosen, steps) in by_chosen {
            let chosen = chosen.iter().zip(infos).filter_map(|(at, rows)| Some(rows[(*at)?].labels));
            let Some(labels) = self.enriched(row.labels, chosen)? else { continue };
            out.add_cells(&labels, |step| row.cell(step).filter(|_| steps.binary_search(&step).is_ok()))?;
        }
        Ok(())
    }

    /// `None` takes the series away.
    fn enriched<'a>(&self, base: &[u8], infos: impl Iterator<Item = &'a [u8]>) -> Result<Option<Box<[u8]>>, Error> {
        let mut added: Vec<(&str, &str)> = Vec::new();
        let mut any = false;
        for info in infos {
            any = true;
            for (name, value) in LabelsIter::over(info) {
                let wanted = self.selection.labels.is_empty() || self.selection.labels.iter().any(|m| m.name == name);
                if name == METRIC_NAME || !wanted {
                    continue;
                }
                if added.iter().any(|(held, other)| *held == name && *other != value) {
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

impl WholeOperator for Info {
    const NAME: &'static str = "InfoExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |matchers: &[Matcher]| matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        write!(f, "names={{{}}}, labels={{{}}}", text(&self.selection.names), text(&self.selection.labels))
    }

    fn grid(&self) -> &Grid {
        &self.grid
    }

    fn compute(&self, inputs: &[Vector], account: &MemoryReservation) -> Result<Vec<RecordBatch>, Error> {
        self.evaluate(inputs, account)
    }
}
