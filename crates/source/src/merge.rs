//! Merges several sources to one. Series and samples come in order, and each time occurs once in a
//! series.

pub mod exemplars;
mod presence;
mod samples;
pub mod union;

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

use crate::presence::PresenceStream;
use crate::undecoded::{UndecodedStream, as_undecoded};
use crate::{
    Error, Part, SeriesBatch, SeriesBatchBuilder, SeriesExemplars, SeriesRequest, SeriesSource,
    SeriesStream, SeriesSummary, Texts,
};
use async_trait::async_trait;
use duramen_metrics::Counter;
use duramen_model::labels::cmp_encoded_in_block;
use duramen_model::{FamilyMetadata, TimeRange};
use duramen_qos::{Account, Budget, Exceeded, Reservation};
use futures::future::try_join_all;
use futures::{Stream, StreamExt, TryStreamExt, stream};

/// How many parts are asked at once, for answers that are not streams.
const PARTS_AT_ONCE: usize = 16;

/// The batches of a part in memory: the one that is merged, and the next, which a block decodes
/// meanwhile.
const BATCHES_OF_A_PART: usize = 2;
/// The size of a time and a value.
const SAMPLE_BYTES: usize = size_of::<i64>() + size_of::<f64>();

/// The error when memory was refused.
fn refused(exceeded: Exceeded) -> Error {
    Error::memory("the samples of all parts", exceeded)
}

/// Merges parts. Equal samples of several parts become one. If parts have different values for one
/// time, floats or histograms, the value of the smallest order counts. If there are several parts,
/// only samples in the requested range are returned.
///
/// Memory: the current and the next batch of each part, and the batch that is built. It is taken
/// from the budget of the request. Without one, it is taken from the account of
/// [`MergeSource::within`].
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
            batch_samples_max: SeriesRequest::BATCH_SAMPLES_MAX,
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
        request.reads.divide(self.parts.len());

        let mut streams =
            try_join_all(self.parts.iter().map(|part| part.source.select(request))).await?;
        match streams.len() {
            0 => return Ok(Box::pin(stream::empty())),
            1 => return Ok(streams.remove(0)),
            _ => {}
        }

        let merge = Merge::new(self, streams, request);
        Ok(Box::pin(stream::try_unfold(
            merge,
            |mut merge| async move { Ok(merge.next_batch().await?.map(|batch| (batch, merge))) },
        )))
    }

    async fn select_undecoded(&self, request: &SeriesRequest) -> Result<UndecodedStream, Error> {
        match &self.parts[..] {
            [part] => part.source.select_undecoded(request).await,
            _ => self.select(request).await.map(as_undecoded),
        }
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
}

/// The state of a running merge.
struct Merge {
    inputs: Vec<Input>,
    /// The inputs with a current series, sorted by that series and then by order.
    heads: BinaryHeap<Reverse<Head>>,
    /// The inputs whose current series is used up, or that have not begun.
    spent: Vec<usize>,
    batch_series_max: usize,
    batch_samples_max: usize,
    /// Samples outside are left out. A part may return them, because it reads whole pages.
    range: TimeRange,
    /// The memory of the batch that was built last.
    built: Reservation,
}

struct Input {
    stream: SeriesStream,
    batch: Option<SeriesBatch>,
    row: usize,
    /// The memory of the current batch and of the next.
    share: Reservation,
    /// Counts the values of the input that lost against a different one.
    conflicts: Counter,
}

/// The current series of an input.
#[derive(PartialEq, Eq)]
struct Head {
    labels: Vec<u8>,
    input: usize,
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        cmp_encoded_in_block(&self.labels, &other.labels).then(self.input.cmp(&other.input))
    }
}

impl Merge {
    fn new(source: &MergeSource, streams: Vec<SeriesStream>, request: &SeriesRequest) -> Self {
        let spent = (0..streams.len()).collect();
        let budget = match request.reads.budget() {
            Some(budget) => budget.clone(),
            None => Budget::of_query(&source.memory, usize::MAX),
        };
        let share = || budget.reservation();

        let input = |(stream, conflicts): (SeriesStream, &Counter)| Input {
            stream,
            batch: None,
            row: 0,
            share: share(),
            conflicts: conflicts.clone(),
        };

        let inputs = streams.into_iter().zip(&source.conflicts).map(input);

        Self {
            inputs: inputs.collect(),
            heads: BinaryHeap::new(),
            spent,
            batch_series_max: request.batch_series_max,
            batch_samples_max: source.batch_samples_max,
            range: request.range,
            built: share(),
        }
    }

    /// The next batch of merged series; `None` at the end.
    async fn next_batch(&mut self) -> Result<Option<SeriesBatch>, Error> {
        let mut builder = SeriesBatchBuilder::default();

        // The number of samples is known only after a refill. Space for all of them is reserved at
        // once, because growing would copy every sample again.
        self.refill().await?;

        let at_hand = self
            .inputs
            .iter()
            .map(Input::floats_left)
            .sum::<usize>()
            .min(self.batch_samples_max);

        self.built.shrink(usize::MAX);
        self.built.grow(at_hand * SAMPLE_BYTES).map_err(refused)?;
        builder.samples_mut(|ts, values| {
            ts.reserve_exact(at_hand);
            values.reserve_exact(at_hand);
        });

        while builder.len() < self.batch_series_max && builder.samples() < self.batch_samples_max {
            self.refill().await?;

            let Some(Reverse(first)) = self.heads.pop() else {
                break;
            };

            let mut holders = vec![first.input];

            while self
                .heads
                .peek()
                .is_some_and(|Reverse(head)| head.labels == first.labels)
            {
                holders.extend(self.heads.pop().map(|Reverse(head)| head.input));
            }

            self.make_room(&holders, &builder)?;
            self.merge_series(&holders, &mut builder);
            builder.end_series(&first.labels);

            for &input in &holders {
                self.inputs[input].row += 1;
            }

            self.spent = holders;
        }

        Ok((!builder.is_empty()).then(|| builder.finish()))
    }

    /// Moves every spent input to its next series. Inputs that need a new batch read it
    /// concurrently.
    async fn refill(&mut self) -> Result<(), Error> {
        let spent = std::mem::take(&mut self.spent);
        let waiting = self
            .inputs
            .iter_mut()
            .enumerate()
            .filter(|(at, input)| spent.contains(at) && input.is_exhausted());

        try_join_all(waiting.map(|(_, input)| input.read())).await?;
        for at in spent {
            let input = &self.inputs[at];
            if let Some(batch) = &input.batch {
                let labels = batch.labels_at(input.row).to_vec();
                self.heads.push(Reverse(Head { labels, input: at }));
            }
        }

        Ok(())
    }

    /// Takes memory for the current series of `holders`, if it does not fit into the memory of the
    /// batch.
    fn make_room(&mut self, holders: &[usize], builder: &SeriesBatchBuilder) -> Result<(), Error> {
        let floats: usize = holders.iter().map(|&at| self.inputs[at].floats()).sum();
        let needed = (builder.samples() + floats) * SAMPLE_BYTES;
        let missing = needed.saturating_sub(self.built.bytes());

        self.built.grow(missing).map_err(refused)
    }

    /// Appends the merged samples of the current series of `holders`, which ascend by order.
    fn merge_series(&self, holders: &[usize], builder: &mut SeriesBatchBuilder) {
        let slices: Vec<samples::Slice<'_>> = holders
            .iter()
            .filter_map(|&at| self.inputs[at].slice())
            .collect();

        let mut lost = vec![0; slices.len()];
        samples::merge(&slices, self.range, builder, &mut lost);

        for (&at, lost) in holders.iter().zip(lost) {
            if lost > 0 {
                self.inputs[at].conflicts.inc_by(lost);
            }
        }
    }
}

impl Input {
    fn is_exhausted(&self) -> bool {
        self.batch
            .as_ref()
            .is_none_or(|batch| self.row >= batch.len())
    }

    /// The number of floats in the current series.
    fn floats(&self) -> usize {
        self.slice()
            .map_or(0, |(batch, row)| batch.samples_at(row).0.len())
    }

    /// The number of floats in the current series and the following ones of the batch.
    fn floats_left(&self) -> usize {
        let Some(batch) = &self.batch else { return 0 };
        let offsets = &batch.offsets()[self.row..];
        offsets
            .last()
            .zip(offsets.first())
            .map_or(0, |(end, start)| usize::try_from(end - start).unwrap_or(0))
    }

    /// Reads until there is a batch with series. At the end of the stream there is none.
    async fn read(&mut self) -> Result<(), Error> {
        self.row = 0;
        self.batch = None;
        self.share.shrink(usize::MAX);

        while let Some(batch) = self.stream.next().await.transpose()? {
            if !batch.is_empty() {
                let bytes = batch.record_batch().get_array_memory_size();
                self.share
                    .grow(bytes * BATCHES_OF_A_PART)
                    .map_err(refused)?;
                self.batch = Some(batch);
                break;
            }
        }

        Ok(())
    }

    fn slice(&self) -> Option<samples::Slice<'_>> {
        self.batch.as_ref().map(|batch| (batch, self.row))
    }
}

#[cfg(test)]
mod tests;
