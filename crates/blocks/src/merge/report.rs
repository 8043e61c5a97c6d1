//! What a merge did.

use std::collections::BTreeMap;

use duramen_model::{BlockEntry, BlockId, BlockStats, WriterId};

use crate::merge::input::OpenInput;

/// The numbers of a merge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergeReport {
    /// In the order in which conflicts are decided: an earlier input wins.
    pub inputs: Vec<InputReport>,
    /// The series of the output, and so on for the others. Rollups have none.
    pub series: u64,
    pub samples: u64,
    pub histograms: u64,
    pub exemplars: u64,
    pub families: u64,
    /// The bytes of all blocks of the output, rollups included.
    pub bytes: u64,
}

/// What came from one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputReport {
    pub block: BlockId,
    /// The writer of the newest flush in the block.
    pub writer: WriterId,
    pub series: u64,
    /// Floats and histograms.
    pub samples: u64,
    /// The floats and histograms that are not in the output, because an earlier input has a
    /// different value for the same time.
    pub conflicts: u64,
    pub bytes: u64,
}

impl MergeReport {
    pub(super) fn new<'o>(
        inputs: &[OpenInput],
        outputs: impl Iterator<Item = &'o BlockEntry> + Clone,
    ) -> Self {
        let sum = |number: fn(&BlockStats) -> u64| {
            let of_samples = outputs
                .clone()
                .filter(|entry| entry.resolution_ms.is_none());
            of_samples.map(|entry| number(&entry.stats)).sum()
        };

        let input = |input: &OpenInput| InputReport {
            block: input.entry.id,
            writer: input.entry.order.max.writer,
            series: input.entry.stats.series,
            samples: input.entry.stats.samples + input.entry.stats.histograms,
            conflicts: input.conflicts.get(),
            bytes: input.entry.stats.bytes(),
        };

        Self {
            inputs: inputs.iter().map(input).collect(),
            series: sum(|stats| stats.series),
            samples: sum(|stats| stats.samples),
            histograms: sum(|stats| stats.histograms),
            exemplars: sum(|stats| stats.exemplars),
            families: sum(|stats| stats.families),
            bytes: outputs.clone().map(|entry| entry.stats.bytes()).sum(),
        }
    }

    /// The samples that lost a conflict, by the writer that sent them. The samples of a block of
    /// several writers count for the writer of its newest flush.
    pub fn conflicts_by_writer(&self) -> BTreeMap<WriterId, u64> {
        let mut conflicts = BTreeMap::new();

        for input in self.inputs.iter().filter(|input| input.conflicts > 0) {
            *conflicts.entry(input.writer).or_default() += input.conflicts;
        }

        conflicts
    }

    /// The samples of the inputs.
    pub fn samples_before(&self) -> u64 {
        self.inputs.iter().map(|input| input.samples).sum()
    }

    /// The samples that several inputs had with the same value, each but once.
    pub fn equal(&self) -> u64 {
        let conflicts: u64 = self.inputs.iter().map(|input| input.conflicts).sum();
        self.samples_before()
            .saturating_sub(self.samples + self.histograms + conflicts)
    }

    /// The bytes of the inputs.
    pub fn bytes_before(&self) -> u64 {
        self.inputs.iter().map(|input| input.bytes).sum()
    }
}
