//! The rows of several sources as one stream: series by series, ascending by time.

use std::collections::VecDeque;

use duramen_model::labels::cmp_encoded_in_block;
use futures::{StreamExt, TryStreamExt, stream};

use crate::error::Error;
use crate::rollup::RollupStream;
use crate::rollup::batch::RollupBatch;

/// Joins streams, each in the order of a block. No two of them have the same sample.
pub fn joined(streams: Vec<RollupStream>) -> RollupStream {
    let mut streams = VecDeque::from(streams);

    if streams.len() <= 1 {
        return streams
            .pop_front()
            .unwrap_or_else(|| stream::empty().boxed());
    }

    let parts = streams.into_iter().map(Part::new).collect();
    let join = Join { parts };

    stream::try_unfold(join, |mut join| async move {
        let batch = join.next_batch().await?;
        Ok((!batch.is_empty()).then_some((batch, join)))
    })
    .boxed()
}

struct Join {
    parts: Vec<Part>,
}

/// A stream, and how far it was joined.
struct Part {
    rest: RollupStream,
    batch: RollupBatch,
    /// The next series of the batch.
    series: usize,
}

impl Join {
    /// Returns the next series. Without any the join is over.
    async fn next_batch(&mut self) -> Result<RollupBatch, Error> {
        let mut joined = RollupBatch::default();

        while !joined.is_full() {
            futures::future::try_join_all(self.parts.iter_mut().map(Part::fill)).await?;
            self.parts.retain(|part| part.labels().is_some());

            if !self.append_series(&mut joined) {
                break;
            }
        }

        Ok(joined)
    }

    /// Appends the rows of the next series. False if there is none.
    fn append_series(&mut self, joined: &mut RollupBatch) -> bool {
        let labels = self.parts.iter().filter_map(Part::labels);
        let Some(first) = labels.min_by(|a, b| cmp_encoded_in_block(a, b)) else {
            return false;
        };

        let first = first.to_vec();
        let from = joined.rows();

        for part in &mut self.parts {
            if part.labels() == Some(&first[..]) {
                joined
                    .rows_mut()
                    .extend_from_slice(part.batch.rows_at(part.series));
                part.series += 1;
            }
        }

        let rows = &mut joined.rows_mut()[from..];
        if !rows.is_sorted_by_key(|row| row.place()) {
            rows.sort_by_key(|row| row.place());
        }

        joined.end_series(&first);
        true
    }
}

impl Part {
    fn new(rest: RollupStream) -> Self {
        Self {
            rest,
            batch: RollupBatch::default(),
            series: 0,
        }
    }

    /// Reads the next batch if all series of the one before were joined.
    async fn fill(&mut self) -> Result<(), Error> {
        while self.series >= self.batch.len() {
            let Some(batch) = self.rest.try_next().await? else {
                self.batch = RollupBatch::default();
                self.series = 0;
                return Ok(());
            };

            self.batch = batch;
            self.series = 0;
        }

        Ok(())
    }

    /// The encoded labels of the next series, if there is one.
    fn labels(&self) -> Option<&[u8]> {
        (self.series < self.batch.len()).then(|| self.batch.labels_at(self.series))
    }
}
