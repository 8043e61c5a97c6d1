//! Scalars: vectors of one row without labels, with a value at every step.

use std::fmt;

use arrow::array::RecordBatch;

use crate::error::Error;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::whole_input::WholeInputOperator;
use crate::grid::Grid;
use crate::kernels::arithmetic;
use crate::kernels::seconds;
use crate::plan::function::ScalarFunction;
use crate::vector::{Vector, VectorBuilder};

/// Computes a scalar without inputs or from other scalars. `vector(scalar)` has the same form.
#[derive(Debug, PartialEq)]
pub(crate) struct Scalar {
    pub(crate) function: ScalarFunction,
    pub(crate) grid: Grid,
}

impl Scalar {
    fn evaluate(
        &self,
        inputs: &[Vector],
        allowance: &Allowance,
    ) -> Result<Vec<RecordBatch>, Error> {
        let cells = match self.function {
            ScalarFunction::OfVector => only_cells(&inputs[0], allowance)?,
            _ => self.computed(&inputs.iter().map(Vector::scalar).collect::<Vec<_>>()),
        };

        let mut out = VectorBuilder::new(&self.grid);
        out.push(&[], |step| cells.get(step).copied());
        Ok(out.finish())
    }

    fn computed(&self, inputs: &[Vec<f64>]) -> Vec<f64> {
        let cell = |step: usize| match self.function {
            ScalarFunction::Number(value) => value,
            ScalarFunction::Time => seconds(self.grid.at(step)),
            ScalarFunction::Negate => -inputs[0][step],
            ScalarFunction::Binary(op) => arithmetic::value(op, inputs[0][step], inputs[1][step]),
            ScalarFunction::MinOf => extreme(inputs, step, f64::min, f64::NEG_INFINITY),
            ScalarFunction::MaxOf => extreme(inputs, step, f64::max, f64::INFINITY),
            ScalarFunction::OfVector => unreachable!("its input is no scalar"),
        };

        (0..self.grid.steps).map(cell).collect()
    }
}

/// Returns one of two values. If one is NaN: `last` if the other is `last`, else NaN.
fn extreme(inputs: &[Vec<f64>], step: usize, choose: fn(f64, f64) -> f64, last: f64) -> f64 {
    let a = inputs[0][step];
    let b = inputs[1][step];

    match a.is_nan() || b.is_nan() {
        true if a == last || b == last => last,
        true => f64::NAN,
        false => choose(a, b),
    }
}

fn only_cells(input: &Vector, allowance: &Allowance) -> Result<Vec<f64>, Error> {
    let mut cells: Vec<Option<f64>> = vec![None; input.steps];
    let mut many = vec![false; input.steps];

    for row in input.rows() {
        allowance.check()?;
        for step in 0..input.steps {
            if let Some(value) = row.get(step) {
                many[step] |= cells[step].replace(value).is_some();
            }
        }
    }

    Ok(cells
        .iter()
        .zip(many)
        .map(|(cell, many)| cell.filter(|_| !many).unwrap_or(f64::NAN))
        .collect())
}

impl WholeInputOperator for Scalar {
    const NAME: &'static str = "ScalarExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.function {
            ScalarFunction::Number(value) => write!(f, "number={value}"),
            ScalarFunction::Binary(op) => write!(f, "op={}", op.as_str()),
            function => write!(f, "function={function:?}"),
        }
    }

    fn grid(&self) -> &Grid {
        &self.grid
    }

    fn compute(&self, inputs: &[Vector], allowance: &Allowance) -> Result<Vec<RecordBatch>, Error> {
        self.evaluate(inputs, allowance)
    }
}
