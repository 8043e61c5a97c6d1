//! Merges streams of exemplars, series by series, for a compaction. A query merges whole answers by
//! the same rule ([`union::exemplars`]).

use std::pin::Pin;

use futures::future::try_join_all;
use futures::{Stream, StreamExt};

use crate::merge::union;
use crate::{Error, SeriesExemplars};

/// A stream of series with exemplars, a few at a time. The series strictly ascend over the whole
/// stream, in block order.
pub type ExemplarStream = Pin<Box<dyn Stream<Item = Result<Vec<SeriesExemplars>, Error>> + Send>>;

/// Merges streams of exemplars to one. Memory: what each stream gives at once.
pub struct ExemplarMerge {
    inputs: Vec<Input>,
}

struct Input {
    /// `None` at the end of the stream.
    stream: Option<ExemplarStream>,
    /// The series that the stream gave last, the first of them at the end.
    waiting: Vec<SeriesExemplars>,
}

impl std::fmt::Debug for ExemplarMerge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExemplarMerge")
            .field("inputs", &self.inputs.len())
            .finish_non_exhaustive()
    }
}

impl ExemplarMerge {
    pub fn new(streams: Vec<ExemplarStream>) -> Self {
        let input = |stream| Input {
            stream: Some(stream),
            waiting: Vec::new(),
        };

        Self {
            inputs: streams.into_iter().map(input).collect(),
        }
    }

    /// Returns the next series, with the exemplars of all streams, if its labels pass `wanted`.
    /// Otherwise the series stays. `None` at the end too.
    pub async fn next_if(
        &mut self,
        wanted: impl Fn(&SeriesExemplars) -> bool + Send,
    ) -> Result<Option<SeriesExemplars>, Error> {
        try_join_all(self.inputs.iter_mut().map(Input::fill)).await?;

        let heads = self.inputs.iter().filter_map(|input| input.waiting.last());
        let Some(first) = heads.min_by(|a, b| a.labels.cmp_in_block(&b.labels)) else {
            return Ok(None);
        };
        if !wanted(first) {
            return Ok(None);
        }

        let labels = first.labels.clone();
        let of_series = self.inputs.iter_mut().map(|input| {
            let is_next = |series: &mut SeriesExemplars| series.labels == labels;
            input.waiting.pop_if(is_next).into_iter().collect()
        });

        Ok(union::exemplars(of_series).pop())
    }
}

impl Input {
    /// Reads until a series waits, or the stream ends.
    async fn fill(&mut self) -> Result<(), Error> {
        while self.waiting.is_empty()
            && let Some(stream) = &mut self.stream
        {
            match stream.next().await.transpose()? {
                Some(mut series) => {
                    series.reverse();
                    self.waiting = series;
                }
                None => self.stream = None,
            }
        }

        Ok(())
    }
}
