//! The `info` function.

use duramen_model::METRIC_NAME;
use duramen_syntax::Expr;
use duramen_syntax::ast::{At, LabelMatcher, MatchOp, OffsetSpec, VectorSelector};

use crate::error::Error;
use crate::grid::Grid;
use crate::plan::function::InfoSelection;
use crate::plan::lookup::StepFunction;
use crate::plan::node::{Node, Plan};
use crate::plan::planner::Planner;
use crate::plan::planner::bare;
use crate::plan::planner::duration::offset_ms;
use crate::plan::planner::selector::matchers;

/// The default info metric.
const TARGET_INFO: &str = "target_info";

/// The info metrics if the selector only excludes names.
const ANY_INFO: &str = ".+_info";

impl Planner {
    pub(crate) fn info(
        &self,
        input: &Expr,
        wanted: &[LabelMatcher],
        grid: Grid,
    ) -> Result<Plan, Error> {
        let name = |op, value: &str| LabelMatcher {
            name: METRIC_NAME.to_owned(),
            op,
            value: value.to_owned(),
        };

        let (mut names, labels): (Vec<_>, Vec<_>) =
            wanted.iter().cloned().partition(|m| m.name == METRIC_NAME);
        if names.is_empty() {
            names.push(name(MatchOp::Equal, TARGET_INFO));
        } else if !names
            .iter()
            .any(|m| matches!(m.op, MatchOp::Equal | MatchOp::Regex))
        {
            names.push(name(MatchOp::Regex, ANY_INFO));
        }

        let (at, offset_ms) = self.reference(input)?;
        let selector = VectorSelector {
            name: None,
            matchers: names.iter().chain(&labels).cloned().collect(),
            offset: OffsetSpec::Ms(offset_ms),
            at,
            anchored: false,
            smoothed: false,
            pos: bare(input).pos(),
        };

        let selection = InfoSelection {
            names: matchers(&names, &self.regexes)?.to_vec(),
            labels: matchers(&labels, &self.regexes)?.to_vec(),
        };

        let inputs = vec![
            self.plan(input, grid)?,
            self.selector_steps(&selector, StepFunction::NamedTime, grid)?,
        ];

        let names = inputs[0].names.clone();

        Ok(Plan {
            node: Node::Info { inputs, selection },
            grid,
            names,
        })
    }

    /// Returns the time at which the info series are read: that of the first selector in the
    /// series. It is the time after `@`, and how far before that or before the step.
    fn reference(&self, input: &Expr) -> Result<(Option<At>, i64), Error> {
        let mut at = None;
        let mut before_ms = 0i64;
        let mut expr = input;

        loop {
            let (own_at, own_offset) = match expr {
                Expr::VectorSelector(selector) => (selector.at, Some(&selector.offset)),
                Expr::MatrixSelector { selector, .. } => (selector.at, Some(&selector.offset)),
                Expr::Subquery { at, offset, .. } => (*at, Some(offset)),
                _ => (None, None),
            };

            if own_at.is_some() {
                // The expressions around a selector do not change when it reads.
                (at, before_ms) = (own_at, 0);
            }

            if let Some(offset) = own_offset {
                before_ms = before_ms.saturating_add(offset_ms(offset, &self.times)?);
            }

            if matches!(expr, Expr::VectorSelector(_) | Expr::MatrixSelector { .. }) {
                return Ok((at, before_ms));
            }

            let Some(next) = expr.children().find(|child| reads(child)) else {
                return Ok((at, before_ms));
            };
            expr = next;
        }
    }
}

/// Returns whether an expression contains a selector.
fn reads(expr: &Expr) -> bool {
    let mut found = false;
    expr.walk(&mut |expr| {
        found |= matches!(expr, Expr::VectorSelector(_) | Expr::MatrixSelector { .. })
    });
    found
}
