//! Merges several sources to one. Series and samples come in order, and each time occurs once in a
//! series.
//!
//! ```text
//! parts ──► `series`: by labels, nothing is decoded ──► `batch` ──► receiver: decodes, `samples`
//! ```

mod batch;
pub mod exemplars;
mod presence;
mod samples;
mod series;
pub mod union;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::merge::series::SeriesMerge;
use crate::presence::PresenceStream;
use crate::rollup::RollupSource;
use crate::undecoded::{UndecodedStream, decoded};
use crate::{
    Error, Part, SeriesExemplars, SeriesRequest, SeriesSource, SeriesStream, SeriesSummary, Texts,
};
use async_trait::async_trait;
use duramen_metrics::Counter;
use duramen_model::FamilyMetadata;
use duramen_qos::{Account, Budget};
use futures::future::try_join_all;
use futures::{Stream, StreamExt, TryStreamExt, stream};

/// How many parts are asked at once, for answers that are not streams.
const PARTS_AT_ONCE: usize = 16;
/// The maximum number of samples in a batch of many series, as in one of a block.
const BATCH_SAMPLES_MAX: usize = 1 << 20;

/// Merges parts. Equal samples of several parts become one. If parts have different values for one
/// time, floats or histograms, the value of the smallest order counts. If there are several parts,
/// only samples in the requested range are returned.
///
/// No sample is decoded here: the receiver of a batch decodes the samples of all parts and merges
/// them, piece by piece. A piece whose series are in one part alone is passed on without a copy.
///
/// Memory: the current and the next batch of each part if they are decoded, and what the decoder of
/// each merged batch holds. It is taken from the budget of the request. Without one, it is taken
/// from the account of [`MergeSource::within`].
#[derive(Debug)]
pub struct MergeSource {
    /// The parts, ascending by order.
    parts: Vec<Part>,
    /// Counts the conflicts that a part has lost, one for each part.
    conflicts: Vec<Counter>,
    batch_samples_max: usize,
    memory: Arc<Account>,
}

impl MergeSource {
    /// `conflicts` counts the samples that lose against a different value of a smaller order. A
    /// sample counts each time it is read.
    pub fn new(parts: Vec<Part>, conflicts: Counter) -> Self {
        let counted = parts.into_iter().map(|part| (part, conflicts.clone()));
        Self::counting_each(counted.collect())
    }

    /// Makes a merge like [`MergeSource::new`]. Each part has its own counter, for the samples of
    /// this part that lose.
    pub fn counting_each(mut parts: Vec<(Part, Counter)>) -> Self {
        parts.sort_by_key(|(part, _)| part.order);
        let (parts, conflicts) = parts.into_iter().unzip();

        Self {
            parts,
            conflicts,
            batch_samples_max: BATCH_SAMPLES_MAX,
            memory: Account::unbounded(),
        }
    }

    /// The same merge with smaller batches: one ends when it exceeds this many samples.
    #[must_use]
    pub fn in_batches_of(self, batch_samples_max: usize) -> Self {
        Self {
            batch_samples_max,
            ..self
        }
    }

    /// The same merge, with memory from this account.
    #[must_use]
    pub fn within(self, memory: &Arc<Account>) -> Self {
        Self {
            memory: Arc::clone(memory),
            ..self
        }
    }

    /// Asks all parts. The stream has the answers in the order of the parts.
    fn ask<'a, A: Future>(
        &'a self,
        question: impl Fn(&'a dyn SeriesSource) -> A,
    ) -> impl Stream<Item = A::Output> {
        let questions: Vec<A> = self
            .parts
            .iter()
            .map(|part| question(&*part.source))
            .collect();

        stream::iter(questions).buffered(PARTS_AT_ONCE)
    }
}

impl MergeSource {
    /// Asks all parts for names or values, and joins their answers one by one.
    async fn union<'a, A>(
        &'a self,
        request: &SeriesRequest,
        question: impl Fn(&'a dyn SeriesSource) -> A,
    ) -> Result<BTreeSet<String>, Error>
    where
        A: Future<Output = Result<BTreeSet<String>, Error>>,
    {
        let join = |texts, more| std::future::ready(Ok(Texts::union(&request.reads, texts, more)));

        self.ask(question).try_fold(BTreeSet::new(), join).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SeriesSource for MergeSource {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error> {
        self.select_undecoded(request).await.map(decoded)
    }

    async fn select_undecoded(&self, request: &SeriesRequest) -> Result<UndecodedStream, Error> {
        request.reads.divide(self.parts.len());

        let streams = self
            .parts
            .iter()
            .map(|part| part.source.select_undecoded(request));

        let mut streams = try_join_all(streams).await?;
        match streams.len() {
            0 => return Ok(Box::pin(stream::empty())),
            1 => return Ok(streams.remove(0)),
            _ => {}
        }

        let counted = streams.into_iter().zip(self.conflicts.iter().cloned());
        let memory = match request.reads.budget() {
            Some(budget) => budget.clone(),
            None => Budget::of_query(&self.memory, usize::MAX),
        };

        let merge = SeriesMerge::new(counted, request, self.batch_samples_max, memory);

        Ok(Box::pin(stream::try_unfold(
            merge,
            |mut merge| async move { Ok(merge.next_batch().await?.map(|batch| (batch, merge))) },
        )))
    }

    async fn presence(
        &self,
        request: &SeriesRequest,
        from_ms: i64,
    ) -> Result<Option<PresenceStream>, Error> {
        let parts = self
            .parts
            .iter()
            .map(|part| part.source.presence(request, from_ms));
        let streams: Option<Vec<_>> = try_join_all(parts).await?.into_iter().collect();

        Ok(streams.map(|streams| presence::merged(streams, request.batch_series_max)))
    }

    async fn exemplars(&self, request: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        let parts: Vec<_> = self
            .ask(|part| part.exemplars(request))
            .try_collect()
            .await?;

        Ok(union::exemplars(parts))
    }

    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, Error> {
        let parts: Vec<_> = self.ask(|part| part.metadata()).try_collect().await?;

        Ok(union::metadata(parts))
    }

    async fn summaries(&self, request: &SeriesRequest) -> Result<Vec<SeriesSummary>, Error> {
        let parts: Vec<_> = self
            .ask(|part| part.summaries(request))
            .try_collect()
            .await?;

        Ok(union::summaries(parts))
    }

    async fn label_names(&self, request: &SeriesRequest) -> Result<BTreeSet<String>, Error> {
        self.union(request, |part| part.label_names(request)).await
    }

    async fn label_values(
        &self,
        request: &SeriesRequest,
        name: &str,
    ) -> Result<BTreeSet<String>, Error> {
        self.union(request, |part| part.label_values(request, name))
            .await
    }

    async fn ttl_max_ms(&self) -> Result<i64, Error> {
        let longest = |longest: i64, ttl_ms| async move { Ok(longest.max(ttl_ms)) };
        self.ask(|part| part.ttl_max_ms())
            .try_fold(0, longest)
            .await
    }

    fn rollups(&self) -> Option<&dyn RollupSource> {
        None
    }
}

#[cfg(test)]
mod tests;
