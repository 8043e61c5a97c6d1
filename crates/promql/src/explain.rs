//! What a query would run, and what its operators did.

use std::fmt;

use datafusion_physical_plan::{DisplayFormatType, ExecutionPlan};

use crate::exec::support::operator::OperatorExec;
use crate::exec::support::run::Run;
use crate::stats::Work;
use duramen_syntax::on_growing_stack;

/// An operator with its inputs. It prints one line for each operator, with the inputs indented
/// beneath it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanNode {
    pub operator: String,
    /// Its parameters, as `key=value` pairs.
    pub details: String,
    pub work: Work,
    pub inputs: Vec<Self>,
}

/// Drops a plan without recursion.
impl Drop for PlanNode {
    fn drop(&mut self) {
        let mut waiting = std::mem::take(&mut self.inputs);
        while let Some(mut next) = waiting.pop() {
            waiting.append(&mut next.inputs);
        }
    }
}

impl PlanNode {
    /// Returns the nodes of a plan with what they did in a run.
    pub(crate) fn of(plan: &dyn ExecutionPlan, run: &Run) -> Self {
        on_growing_stack(|| {
            let text = Described(plan).to_string();
            let (operator, details) = text.split_once(": ").unwrap_or((&text, ""));

            Self {
                operator: operator.to_owned(),
                details: details.to_owned(),
                work: plan
                    .downcast_ref::<OperatorExec>()
                    .map(|node| node.work(run))
                    .unwrap_or_default(),
                inputs: plan
                    .children()
                    .into_iter()
                    .map(|input| Self::of(input.as_ref(), run))
                    .collect(),
            }
        })
    }

    /// Returns this operator and all beneath it in the order of the lines, each with its depth.
    pub fn lines(&self) -> Vec<(usize, &Self)> {
        let mut lines = Vec::new();
        let mut waiting = vec![(0, self)];

        while let Some((depth, node)) = waiting.pop() {
            lines.push((depth, node));
            waiting.extend(node.inputs.iter().rev().map(|input| (depth + 1, input)));
        }

        lines
    }
}

impl fmt::Display for PlanNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (
            depth,
            Self {
                operator, details, ..
            },
        ) in self.lines()
        {
            writeln!(f, "{:indent$}{operator}: {details}", "", indent = 2 * depth)?;
        }
        Ok(())
    }
}

/// Prints an operator as DataFusion does.
struct Described<'a>(&'a dyn ExecutionPlan);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_as(DisplayFormatType::Default, f)
    }
}
