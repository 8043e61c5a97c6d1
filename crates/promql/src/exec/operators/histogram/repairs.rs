//! Classic histograms that had to be made monotonic.

use std::collections::BTreeMap;

use hashbrown::HashSet;

use crate::annotation::forced::{Forced, ForcedSteps};
use crate::grid::Grid;
use crate::kernels::histogram::Repair;

/// The repairs of one function by metric name. The name is empty if it is not reported.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    by_name: BTreeMap<String, ForcedSteps>,
    /// Series and step of the histograms that are repaired. They are reported once, even with
    /// several quantiles.
    repaired: HashSet<(usize, usize)>,
}

impl Repairs {
    pub(super) fn add(
        &mut self,
        name: &str,
        series: usize,
        (step, grid): (usize, &Grid),
        repair: Repair,
    ) {
        if self.repaired.insert((series, step)) {
            let steps = self
                .by_name
                .entry(name.to_owned())
                .or_insert_with(|| ForcedSteps::new(grid.steps));

            steps.add(step, Forced::once(repair, grid.at(step)));
        }
    }

    /// Reports the total of each name.
    pub(super) fn for_each_total(&self, mut report: impl FnMut(&str, Forced)) {
        for (name, steps) in &self.by_name {
            if let Some(forced) = steps.total() {
                report(name, forced);
            }
        }
    }
}
