//! Merges the traces of several parts.

use std::cmp::Ordering;

use duramen_model::labels::cmp_encoded_in_block;
use futures::future::try_join_all;
use futures::{StreamExt, stream};

use crate::error::Error;
use crate::presence::{PresenceBatch, PresenceBatchBuilder, PresenceStream};

/// Returns the series of all `streams` in one order. A series of several streams has the traces of
/// all of them.
pub(super) fn merged(mut streams: Vec<PresenceStream>, batch_series_max: usize) -> PresenceStream {
    if streams.len() == 1 {
        return streams.remove(0);
    }

    let merge = Merge {
        inputs: streams.into_iter().map(Input::new).collect(),
        batch_series_max,
    };

    Box::pin(stream::try_unfold(merge, |mut merge| async move {
        Ok(merge.next_batch().await?.map(|batch| (batch, merge)))
    }))
}

struct Merge {
    inputs: Vec<Input>,
    batch_series_max: usize,
}

struct Input {
    stream: PresenceStream,
    batch: Option<PresenceBatch>,
    row: usize,
    has_ended: bool,
}

impl Merge {
    async fn next_batch(&mut self) -> Result<Option<PresenceBatch>, Error> {
        let mut builder = PresenceBatchBuilder::default();
        let mut first: Vec<usize> = Vec::new();

        while builder.len() < self.batch_series_max {
            try_join_all(
                self.inputs
                    .iter_mut()
                    .filter(|i| i.is_spent())
                    .map(Input::read),
            )
            .await?;
            self.find_first(&mut first);

            // The parts of a set of siblings have no series in common, and each passes as it is.
            if let [at] = first[..]
                && self.is_before_others(at)
            {
                if builder.is_empty() {
                    return Ok(self.inputs[at].batch.take());
                }

                break;
            }

            let Some(labels) = first.first().and_then(|at| self.inputs[*at].labels()) else {
                break;
            };

            for at in &first {
                let input = &self.inputs[*at];
                let traces = input.batch.as_ref().map(|batch| batch.traces_at(input.row));
                builder.push(traces.unwrap_or_default());
            }

            builder.end_series(labels);
            first.iter().for_each(|at| self.inputs[*at].row += 1);
        }

        Ok((!builder.is_empty()).then(|| builder.finish()))
    }

    /// Returns whether a batch that was just read ends before the current series of all other inputs.
    fn is_before_others(&self, at: usize) -> bool {
        let Input { batch, row: 0, .. } = &self.inputs[at] else {
            return false;
        };

        let Some(last) = batch.as_ref().map(|batch| batch.labels_at(batch.len() - 1)) else {
            return false;
        };

        let mut others = self.inputs.iter().enumerate();
        others.all(|(other, input)| {
            let is_behind = |labels| cmp_encoded_in_block(last, labels) == Ordering::Less;
            other == at || input.labels().is_none_or(is_behind)
        })
    }

    /// Puts the inputs with the smallest current series into `first`.
    fn find_first(&self, first: &mut Vec<usize>) {
        first.clear();
        let mut smallest: Option<&[u8]> = None;

        for (at, input) in self.inputs.iter().enumerate() {
            let Some(labels) = input.labels() else {
                continue;
            };

            let order = smallest.map_or(Ordering::Less, |smallest| match labels == smallest {
                true => Ordering::Equal,
                false => cmp_encoded_in_block(labels, smallest),
            });

            match order {
                Ordering::Less => {
                    first.clear();
                    first.push(at);
                    smallest = Some(labels);
                }
                Ordering::Equal => first.push(at),
                Ordering::Greater => {}
            }
        }
    }
}

impl Input {
    const fn new(stream: PresenceStream) -> Self {
        Self {
            stream,
            batch: None,
            row: 0,
            has_ended: false,
        }
    }

    fn is_spent(&self) -> bool {
        !self.has_ended && self.labels().is_none()
    }

    /// The labels of the current series.
    fn labels(&self) -> Option<&[u8]> {
        let batch = self.batch.as_ref().filter(|batch| self.row < batch.len())?;
        Some(batch.labels_at(self.row))
    }

    /// Reads until there is a batch with series. At the end of the stream there is none.
    async fn read(&mut self) -> Result<(), Error> {
        self.row = 0;
        self.batch = None;

        while let Some(batch) = self.stream.next().await.transpose()? {
            if !batch.is_empty() {
                self.batch = Some(batch);
                return Ok(());
            }
        }

        self.has_ended = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
