//! Merges the series of several parts by their labels. No sample is decoded.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

use duramen_metrics::Counter;
use duramen_model::TimeRange;
use duramen_model::labels::cmp_encoded_in_block;
use duramen_qos::{Budget, Exceeded};
use futures::TryStreamExt;
use futures::future::try_join_all;

use crate::merge::batch::{
    BatchSize, Held, MergedBatch, MergedBatchBuilder, SAMPLE_BYTES, decoded_samples_max,
};
use crate::undecoded::{UndecodedBatch, UndecodedStream};
use crate::{Error, SeriesRequest};

/// The batches of a part in memory: the one that is merged, and the next.
const BATCHES_OF_A_PART: usize = 2;

/// The error when memory was refused.
fn refused(exceeded: Exceeded) -> Error {
    Error::memory("the samples of all parts", exceeded)
}

/// The state of a running merge.
pub(super) struct SeriesMerge {
    /// The parts, ascending by order.
    inputs: Vec<Input>,
    /// The inputs with a current series, grouped by it and sorted.
    groups: BinaryHeap<Reverse<Group>>,
    /// The inputs whose current series is used up, or that have not begun. Ascending.
    spent: Vec<usize>,
    size: BatchSize,
    range: TimeRange,
    memory: Budget,
    /// How many samples of a part are decoded together at most.
    decoded_samples_max: u64,
}

struct Input {
    stream: UndecodedStream,
    batch: Option<Arc<Held>>,
    row: usize,
    /// Counts the values of the input that lost against a different one.
    conflicts: Counter,
}

/// Inputs whose current series has the same labels. Ascending.
#[derive(PartialEq, Eq)]
struct Group {
    labels: Vec<u8>,
    inputs: Vec<usize>,
}

impl PartialOrd for Group {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Group {
    fn cmp(&self, other: &Self) -> Ordering {
        cmp_encoded_in_block(&self.labels, &other.labels).then(self.inputs.cmp(&other.inputs))
    }
}

impl SeriesMerge {
    /// Merges one stream for each counter of conflicts, ascending by the order of their parts.
    pub(super) fn new(
        streams: impl IntoIterator<Item = (UndecodedStream, Counter)>,
        request: &SeriesRequest,
        samples_max: usize,
        memory: Budget,
    ) -> Self {
        let input = |(stream, conflicts)| Input {
            stream,
            batch: None,
            row: 0,
            conflicts,
        };

        let inputs: Vec<Input> = streams.into_iter().map(input).collect();
        let size = BatchSize {
            series_max: request.batch_series_max,
            samples_max: samples_max as u64,
        };

        let within = request.reads.batch_bytes_max();
        let within = within.map_or(u64::MAX, |bytes| bytes as u64 / SAMPLE_BYTES);
        let decoded_samples_max = decoded_samples_max(inputs.len()).min(within);

        Self {
            spent: (0..inputs.len()).collect(),
            inputs,
            groups: BinaryHeap::new(),
            size,
            range: request.range,
            memory,
            decoded_samples_max,
        }
    }

    /// Returns the next batch of merged series; `None` at the end.
    pub(super) async fn next_batch(&mut self) -> Result<Option<UndecodedBatch>, Error> {
        let mut batch = MergedBatchBuilder::new(self.inputs.len(), self.decoded_samples_max);

        while !batch.is_full(self.size) {
            self.refill().await?;

            let Some(group) = self.next_group() else {
                break;
            };

            for &at in &group.inputs {
                let input = &mut self.inputs[at];
                if let Some(held) = &input.batch {
                    batch.hold(at, held, input.row, &input.conflicts);
                }

                input.row += 1;
            }

            batch.end_series(&group.labels);
            self.spent = group.inputs;
        }

        if batch.is_empty() {
            return Ok(None);
        }

        let bytes = batch.decoded_bytes();
        let memory = self.memory.reserve(bytes).map_err(refused)?;

        let batch: MergedBatch = batch.finish(self.range, memory);
        Ok(Some(UndecodedBatch::new(Arc::new(batch))))
    }

    /// Moves every spent input to its next series. Inputs that need a new batch read it
    /// concurrently.
    async fn refill(&mut self) -> Result<(), Error> {
        let spent = std::mem::take(&mut self.spent);

        if spent.iter().any(|at| self.inputs[*at].is_exhausted()) {
            let memory = &self.memory;
            let waiting = self
                .inputs
                .iter_mut()
                .enumerate()
                .filter(|(at, input)| spent.contains(at) && input.is_exhausted());

            try_join_all(waiting.map(|(_, input)| input.read(memory))).await?;
        }

        // Parts mostly have the same series, so inputs that were together stay together. To compare
        // equal bytes is cheaper than to order them.
        let mut together: Option<Group> = None;

        for at in spent {
            let Some(labels) = self.inputs[at].labels() else {
                continue;
            };

            match &mut together {
                Some(group) if group.labels == labels => group.inputs.push(at),
                together => {
                    let group = Group {
                        labels: labels.to_vec(),
                        inputs: vec![at],
                    };

                    self.groups.extend(together.replace(group).map(Reverse));
                }
            }
        }

        self.groups.extend(together.map(Reverse));
        Ok(())
    }

    /// Takes the first series, with all inputs that have it.
    fn next_group(&mut self) -> Option<Group> {
        let Reverse(mut first) = self.groups.pop()?;

        let is_same =
            |(Reverse(next), first): (&Reverse<Group>, &Group)| next.labels == first.labels;
        let mut is_joined = false;

        while self
            .groups
            .peek()
            .is_some_and(|next| is_same((next, &first)))
        {
            let more = self.groups.pop().map(|Reverse(next)| next.inputs);
            first.inputs.extend(more.unwrap_or_default());
            is_joined = true;
        }

        if is_joined {
            first.inputs.sort_unstable();
        }

        Some(first)
    }
}

impl Input {
    fn is_exhausted(&self) -> bool {
        self.labels().is_none()
    }

    /// Returns the labels of the current series. `None` behind the last series of the batch.
    fn labels(&self) -> Option<&[u8]> {
        let series = &self.batch.as_ref()?.series;
        (self.row < series.count()).then(|| series.labels().value(self.row))
    }

    /// Reads until there is a batch with series. At the end of the stream there is none.
    async fn read(&mut self, memory: &Budget) -> Result<(), Error> {
        self.row = 0;
        self.batch = None;

        while let Some(batch) = self.stream.try_next().await? {
            let series = batch.into_series();

            if series.count() > 0 {
                let bytes = series.untaken_bytes() * BATCHES_OF_A_PART;
                let held = memory.reserve(bytes).map_err(refused)?;

                self.batch = Some(Arc::new(Held::new(series, held)));
                break;
            }
        }

        Ok(())
    }
}
