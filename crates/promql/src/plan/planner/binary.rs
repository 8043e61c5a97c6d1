//! Binary operators.

use duramen_model::METRIC_NAME;
use duramen_syntax::ast::{BinaryOp, Cardinality, ValueType, VectorMatching};
use duramen_syntax::{Expr, PosRange};

use crate::error::Error;
use crate::grid::Grid;
use crate::kernels::arithmetic;
use crate::plan::function::{CellChange, ScalarFunction, Side};
use crate::plan::lookup::HistogramParts;
use crate::plan::node::{Names, Node, Plan};
use crate::plan::planner::Planner;

impl Planner {
    pub(crate) fn binary(
        &self,
        (op, pos): (BinaryOp, PosRange),
        return_bool: bool,
        matching: Option<&VectorMatching>,
        [lhs, rhs]: [&Expr; 2],
        grid: Grid,
    ) -> Result<Plan, Error> {
        // Trimming depends on the buckets.
        let below = if arithmetic::is_trim(op) {
            self.reading(HistogramParts::All)
        } else {
            self.clone()
        };

        let left = below.plan(lhs, grid)?;
        let right = below.plan(rhs, grid)?;

        let with_scalar = |scalar| CellChange::WithScalar {
            op,
            return_bool,
            scalar,
        };

        match (lhs.value_type(), rhs.value_type()) {
            (ValueType::Scalar, ValueType::Scalar) if arithmetic::is_trim(op) => {
                Err(Error::execution(format!(
                    "operator {:?} not allowed for Scalar operations",
                    op.as_str()
                )))
            }
            (ValueType::Scalar, ValueType::Scalar) => Ok(Plan::scalar(
                ScalarFunction::Binary(op),
                vec![left, right],
                grid,
            )),
            (ValueType::Scalar, _) => {
                Ok(self.map(with_scalar(Side::Left), vec![right, left], grid, pos))
            }
            (_, ValueType::Scalar) => {
                Ok(self.map(with_scalar(Side::Right), vec![left, right], grid, pos))
            }
            _ => {
                let matching =
                    matching.ok_or_else(|| Error::invalid("vectors without a way to match"))?;
                let names = result_names(op, return_bool, matching, &left, &right);

                let node = Node::Binary {
                    op,
                    return_bool,
                    matching: matching.clone(),
                    inputs: vec![left, right],
                    pos,
                };

                Ok(Plan { node, grid, names })
            }
        }
    }
}

fn result_names(
    op: BinaryOp,
    return_bool: bool,
    matching: &VectorMatching,
    left: &Plan,
    right: &Plan,
) -> Names {
    if matching.include.iter().any(|name| name == METRIC_NAME) {
        return Names::Any;
    }

    if arithmetic::drops_name(op, return_bool) {
        return Names::None;
    }

    if matching.fill_left.is_some() || matching.fill_right.is_some() {
        return Names::Any;
    }

    match op {
        BinaryOp::Or if left.names == right.names => left.names.clone(),
        BinaryOp::Or => Names::Any,
        _ if matching.card == Cardinality::OneToMany => right.names.clone(),
        _ if matching.card == Cardinality::OneToOne
            && matching.on
            && !matching.labels.iter().any(|l| l == METRIC_NAME) =>
        {
            Names::None
        }
        _ => left.names.clone(),
    }
}
