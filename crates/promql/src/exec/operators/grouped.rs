//! Aggregations that need all values of a group at the same time.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use arrow::array::RecordBatch;
use duramen_model::LabelsBuilder;
use duramen_model::number::go_general;
use duramen_syntax::PosRange;
use hashbrown::HashMap;

use crate::annotation::Annotation;
use crate::error::Error;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::cancellation::sorted;
use crate::exec::support::merged::Merged;
use crate::exec::support::whole_input::WholeInputOperator;
use crate::grid::Grid;
use crate::kernels::over_time;
use crate::label_set::{Projection, is_marked, marked, prometheus_hash, with_label};
use crate::plan::function::GroupedAggregation;
use crate::vector::{Row, Sample, Vector, VectorBuilder};

/// Inputs: a vector, and the parameter as a scalar unless it is text.
#[derive(Debug, PartialEq)]
pub(crate) struct GroupedAggregate {
    pub(crate) aggregation: GroupedAggregation,
    pub(crate) projection: Projection,
    pub(crate) grid: Grid,
    /// The position of the parameter, for annotations.
    pub(crate) pos: PosRange,
    /// The position of the vector.
    pub(crate) input_pos: PosRange,
}

struct Groups<'a> {
    labels: Vec<Box<[u8]>>,
    rows: Vec<Vec<Row<'a>>>,
}

impl<'a> Groups<'a> {
    fn new(
        input: &'a Vector,
        projection: &Projection,
        allowance: &Allowance,
    ) -> Result<Self, Error> {
        let mut ids: HashMap<Box<[u8]>, usize> = HashMap::new();
        let mut groups = Self {
            labels: Vec::new(),
            rows: Vec::new(),
        };

        let mut labels = LabelsBuilder::default();

        for row in input.rows() {
            allowance.check()?;
            projection.apply(row.labels, &mut labels);

            let id = *ids.entry_ref(labels.encoded()).or_insert_with(|| {
                groups.labels.push(labels.encoded().into());
                groups.rows.push(Vec::new());
                groups.labels.len() - 1
            });

            groups.rows[id].push(row);
        }

        Ok(groups)
    }
}

/// A parameter at or beyond these limits is not a valid size.
const SIZE_MIN: f64 = -9_223_372_036_854_775_808.0;
const SIZE_MAX: f64 = 9_223_372_036_854_774_784.0;

/// The smallest and the largest value of a parameter over all steps. Prometheus checks the
/// parameter by these.
struct Extremes {
    least: f64,
    most: f64,
    any_nan: bool,
}

impl Extremes {
    fn of(values: &[f64]) -> Self {
        let any_nan = values.iter().any(|value| value.is_nan());

        // In Prometheus, both are NaN if one value is.
        let settled = |value: f64| if any_nan { f64::NAN } else { value };
        Self {
            least: settled(values.iter().copied().fold(f64::MAX, f64::min)),
            most: settled(values.iter().copied().fold(-f64::MAX, f64::max)),
            any_nan,
        }
    }

    /// Returns an error if a size of `topk`, `bottomk` or `limitk` is not valid.
    fn check_sizes(&self) -> Result<(), Error> {
        if self.any_nan {
            return Err(Error::execution("Parameter value is NaN"));
        }

        if self.least <= SIZE_MIN {
            return Err(Error::execution(format!(
                "Scalar value {} underflows int64",
                go_general(self.least)
            )));
        }

        if self.most >= SIZE_MAX {
            return Err(Error::execution(format!(
                "Scalar value {} overflows int64",
                go_general(self.most)
            )));
        }

        Ok(())
    }
}

/// Counts at each step by labels, in the order in which the labels were first seen.
#[derive(Default)]
struct IndexedCounts {
    ids: HashMap<Box<[u8]>, usize>,
    list: Vec<(Box<[u8]>, Vec<f64>)>,
}

impl IndexedCounts {
    /// Returns the counts of a series. The memory of a new series is reserved first, because there
    /// may be as many series as cells.
    fn series(
        &mut self,
        labels: &[u8],
        steps: usize,
        allowance: &Allowance,
    ) -> Result<&mut [f64], Error> {
        let next = self.list.len();
        let id = match self.ids.get(labels) {
            Some(&id) => id,
            None => {
                let bytes = steps * size_of::<f64>() + 2 * labels.len() + 64;
                allowance.grow(bytes)?;
                self.ids.insert(labels.into(), next);
                self.list.push((labels.into(), vec![0.0; steps]));

                next
            }
        };

        Ok(&mut self.list[id].1)
    }
}

impl GroupedAggregate {
    fn evaluate(
        &self,
        inputs: &[Vector],
        allowance: &Allowance,
    ) -> Result<Vec<RecordBatch>, Error> {
        let parameter = inputs.get(1).map(Vector::scalar).unwrap_or_default();

        match &self.aggregation {
            GroupedAggregation::Quantile => self.quantiles(&inputs[0], &parameter, allowance),
            GroupedAggregation::CountValues(label) => {
                self.count_values(&inputs[0], label, allowance)
            }
            GroupedAggregation::Top | GroupedAggregation::Bottom | GroupedAggregation::Limit => {
                self.rank(&inputs[0], &parameter, allowance)
            }
            GroupedAggregation::LimitRatio => self.share(&inputs[0], &parameter, allowance),
        }
    }

    fn quantiles(
        &self,
        input: &Vector,
        quantiles: &[f64],
        allowance: &Allowance,
    ) -> Result<Vec<RecordBatch>, Error> {
        let Extremes {
            least,
            most,
            any_nan,
        } = Extremes::of(quantiles);

        if any_nan {
            allowance
                .annotations()
                .check_quantiles(&[f64::NAN], self.pos);
        } else {
            let [least, most] = [least.min(0.0), most.max(1.0)];
            allowance
                .annotations()
                .check_quantiles(&[least, most], self.pos);
        }

        self.annotate_ignored("quantile", input, allowance, |_| true);

        let groups = Groups::new(input, &self.projection, allowance)?;
        let mut out = VectorBuilder::new(&self.grid);
        let mut values = Vec::new();

        for (labels, rows) in groups.labels.iter().zip(&groups.rows) {
            // If the name of any of the series is to be dropped, that of the group is too.
            let goes = rows.iter().any(|row| is_marked(row.labels));
            let labels = if goes {
                Cow::from(marked(labels).into_vec())
            } else {
                Cow::from(&**labels)
            };

            out.push(&labels, |step| {
                values.clear();
                if !allowance.cancellation.is_cancelled() {
                    values.extend(rows.iter().filter_map(|row| row.get(step)));
                }

                (!values.is_empty()).then(|| over_time::quantile(quantiles[step], &mut values))
            });

            allowance.check()?;
        }

        Ok(out.finish())
    }

    fn count_values(
        &self,
        input: &Vector,
        label: &str,
        allowance: &Allowance,
    ) -> Result<Vec<RecordBatch>, Error> {
        let mut counts: IndexedCounts = IndexedCounts::default();
        let mut labels = LabelsBuilder::default();

        for row in input.rows() {
            allowance.check()?;
            self.projection.apply(row.labels, &mut labels);

            for (step, cell) in
                (0..self.grid.steps).filter_map(|step| Some((step, row.cell(step)?)))
            {
                let text = match cell.decode() {
                    Sample::Float(value) => go_text(value),
                    Sample::Histogram(histogram) => histogram.text(),
                };

                // The labels of `without` are dropped last, even the label that receives the value.
                let labels: Cow<'_, [u8]> = match &self.projection {
                    Projection::Drop(names) if names.iter().any(|name| name == label) => {
                        labels.encoded().into()
                    }
                    _ => with_label(labels.encoded(), label, &text).into_vec().into(),
                };

                counts.series(&labels, self.grid.steps, allowance)?[step] += 1.0;
            }
        }

        let mut merged = Merged::new(self.grid.steps, allowance);
        for (labels, counts) in &counts.list {
            merged.add(labels, |step| {
                Some(counts[step]).filter(|&count| count > 0.0)
            })?;
        }

        Ok(merged.finish(&self.grid))
    }

    /// Keeps the best series of each group at each step. With one step, the rows are returned in
    /// that order.
    fn rank(
        &self,
        input: &Vector,
        sizes: &[f64],
        allowance: &Allowance,
    ) -> Result<Vec<RecordBatch>, Error> {
        let mut out = VectorBuilder::new(&self.grid);
        let extremes = Extremes::of(sizes);

        if extremes.most < 1.0 {
            return Ok(out.finish());
        }

        extremes.check_sizes()?;

        let groups = Groups::new(input, &self.projection, allowance)?;
        let limits = self.aggregation == GroupedAggregation::Limit;

        if !limits {
            let name = if self.aggregation == GroupedAggregation::Top {
                "topk"
            } else {
                "bottomk"
            };

            self.annotate_ignored(name, input, allowance, |step| sizes[step] >= 1.0);
        }

        for rows in &groups.rows {
            let mut chosen = vec![false; rows.len() * self.grid.steps];
            let mut order = Vec::new();

            for step in 0..self.grid.steps {
                self.rank_step(rows, step, sizes[step], allowance, &mut order)?;
                order
                    .iter()
                    .for_each(|(at, _)| chosen[at * self.grid.steps + step] = true);
            }

            let listed: Vec<usize> = match self.grid.steps {
                1 => order.iter().map(|(at, _)| *at).collect(),
                _ => (0..rows.len()).collect(),
            };

            for at in listed {
                allowance.check()?;

                let chosen = &chosen[at * self.grid.steps..];
                out.push_cells(rows[at].labels, |step| {
                    rows[at].cell(step).filter(|_| chosen[step])
                });
            }
        }

        Ok(out.finish())
    }

    /// Writes the best `size` rows of a group at a step into `order`, each with its value.
    fn rank_step(
        &self,
        rows: &[Row<'_>],
        step: usize,
        size: f64,
        allowance: &Allowance,
        order: &mut Vec<(usize, f64)>,
    ) -> Result<(), Error> {
        allowance.check()?;

        let limits = self.aggregation == GroupedAggregation::Limit;
        order.clear();

        order.extend(rows.iter().enumerate().filter_map(|(at, row)| {
            let value = row.get(step);
            let value = if limits {
                value.or_else(|| row.has_histogram(step).then_some(0.0))
            } else {
                value
            };

            Some((at, value?))
        }));

        if !limits {
            let unsorted = std::mem::take(order);
            *order = sorted(unsorted, &allowance.cancellation, |a: &(usize, f64), b| {
                self.compare(a.1, b.1)
            })?;
        }

        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the ends saturate"
        )]
        order.truncate(size.max(0.0) as usize);
        Ok(())
    }

    /// Keeps the series whose hashes are in the share of each step.
    fn share(
        &self,
        input: &Vector,
        ratios: &[f64],
        allowance: &Allowance,
    ) -> Result<Vec<RecordBatch>, Error> {
        let Extremes {
            least,
            most,
            any_nan,
        } = Extremes::of(ratios);

        if any_nan {
            return Err(Error::execution("Ratio value is NaN"));
        }

        for ratio in [
            Some(most).filter(|most| *most > 1.0),
            Some(least).filter(|least| *least < -1.0),
        ] {
            let Some(ratio) = ratio else { continue };
            let got = go_general(ratio);
            let capped = go_general(ratio.clamp(-1.0, 1.0));
            let text = format_args!(
                "ratio value should be between -1 and 1, got {got}, capping to {capped}"
            );
            allowance.annotations().warn(text, self.pos);
        }

        let mut out = VectorBuilder::new(&self.grid);

        for row in input.rows() {
            allowance.check()?;

            #[expect(clippy::cast_precision_loss, reason = "a place among all hashes")]
            let place = prometheus_hash(row.labels) as f64 / u64::MAX as f64;
            out.push_cells(row.labels, |step| {
                let ratio = ratios[step].clamp(-1.0, 1.0);
                row.cell(step).filter(|_| {
                    if ratio >= 0.0 {
                        place < ratio
                    } else {
                        place >= 1.0 + ratio
                    }
                })
            });
        }

        Ok(out.finish())
    }

    fn annotate_ignored(
        &self,
        aggregation: &str,
        input: &Vector,
        allowance: &Allowance,
        matters: impl Fn(usize) -> bool,
    ) {
        if input
            .rows()
            .any(|row| row.histograms.iter().any(|(step, _)| matters(step)))
        {
            allowance.annotations().add(
                Annotation::IgnoredInAggregation(aggregation),
                self.input_pos,
            );
        }
    }

    /// Orders the better value first, and NaN last.
    fn compare(&self, a: f64, b: f64) -> Ordering {
        let values = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
        let values = if self.aggregation == GroupedAggregation::Top {
            values.reverse()
        } else {
            values
        };

        a.is_nan().cmp(&b.is_nan()).then(values)
    }
}

/// Prints a number without exponent, as a label value.
fn go_text(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }

    value.to_string()
}

impl WholeInputOperator for GroupedAggregate {
    const NAME: &'static str = "GroupedAggregateExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "aggregation={:?}, labels={:?}",
            self.aggregation, self.projection
        )
    }

    fn grid(&self) -> &Grid {
        &self.grid
    }

    fn compute(&self, inputs: &[Vector], allowance: &Allowance) -> Result<Vec<RecordBatch>, Error> {
        self.evaluate(inputs, allowance)
    }
}
