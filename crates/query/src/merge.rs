//! Several sources as one: series in order, samples in order, each time once.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use async_trait::async_trait;
use duramen_model::labels::cmp_encoded_in_block;
use duramen_source::{Error, Part, SeriesBatch, SeriesBatchBuilder, SeriesRequest, SeriesSource, SeriesStream};
use futures::future::try_join_all;
use futures::{StreamExt, stream};
use prometheus_client::metrics::counter::Counter;

/// Merges parts. Equal samples seen twice are one; of different values for one time that of the smallest order counts.
///
/// Memory: one batch of each part and the one that is built.
#[derive(Debug)]
pub struct MergeSource {
    /// In ascending order.
    parts: Vec<Part>,
    conflicts: Counter,
}

impl MergeSource {
    /// `conflicts` counts the samples that lose against a different value of a smaller order, each time they are read.
    pub fn new(mut parts: Vec<Part>, conflicts: Counter) -> Self {
        parts.sort_by_key(|part| part.order);
        Self { parts, conflicts }
    }
}

#[async_trait]
impl SeriesSource for MergeSource {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error> {
        let mut streams = try_join_all(self.parts.iter().map(|part| part.source.select(request))).await?;
        match streams.len() {
            0 => return Ok(Box::pin(stream::empty())),
            1 => return Ok(streams.remove(0)),
            _ => {}
        }
        let merge = Merge::new(streams, request.batch_series_max, self.conflicts.clone());
        Ok(Box::pin(stream::try_unfold(merge, |mut merge| async move {
            Ok(merge.next_batch().await?.map(|batch| (batch, merge)))
        })))
    }
}

/// A merge under way.
struct Merge {
    inputs: Vec<Input>,
    /// The inputs that have a series at hand, by that series and then by order.
    heads: BinaryHeap<Reverse<Head>>,
    /// The inputs whose series at hand was used up, or that have not begun.
    spent: Vec<usize>,
    batch_series_max: usize,
    conflicts: Counter,
}

struct Input {
    stream: SeriesStream,
    batch: Option<SeriesBatch>,
    row: usize,
}

/// The series that an input has at hand.
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
    fn new(streams: Vec<SeriesStream>, batch_series_max: usize, conflicts: Counter) -> Self {
        let spent = (0..streams.len()).collect();
        let inputs = streams.into_iter().map(|stream| Input { stream, batch: None, row: 0 }).collect();
        Self { inputs, heads: BinaryHeap::new(), spent, batch_series_max, conflicts }
    }

    /// The next batch of merged series; `None` at the end.
    async fn next_batch(&mut self) -> Result<Option<SeriesBatch>, Error> {
        let mut builder = SeriesBatchBuilder::default();
        while builder.len() < self.batch_series_max && builder.samples() < SeriesRequest::BATCH_SAMPLES_MAX {
            self.refill().await?;
            let Some(Reverse(first)) = self.heads.pop() else { break };
            let mut holders = vec![first.input];
            while self.heads.peek().is_some_and(|Reverse(head)| head.labels == first.labels) {
                holders.extend(self.heads.pop().map(|Reverse(head)| head.input));
            }
            self.merge_series(&holders, &mut builder);
            builder.end_series(&first.labels);
            for &input in &holders {
                self.inputs[input].row += 1;
            }
            self.spent = holders;
        }
        Ok((!builder.is_empty()).then(|| builder.finish()))
    }

    /// Brings every spent input to its next series, reading from all that need a new batch at once.
    async fn refill(&mut self) -> Result<(), Error> {
        let spent = std::mem::take(&mut self.spent);
        let waiting =
            self.inputs.iter_mut().enumerate().filter(|(at, input)| spent.contains(at) && input.is_exhausted());
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

    /// Appends the samples of the series that `holders` have at hand; they stand in ascending order of their parts.
    fn merge_series(&self, holders: &[usize], builder: &mut SeriesBatchBuilder) {
        let mut slices: Vec<(&[i64], &[f64])> = holders.iter().map(|&at| self.inputs[at].samples()).collect();
        slices.retain(|(ts, _)| !ts.is_empty());
        let conflicts = merge_samples(&slices, builder);
        if conflicts > 0 {
            self.conflicts.inc_by(conflicts);
        }
    }
}

impl Input {
    fn is_exhausted(&self) -> bool {
        self.batch.as_ref().is_none_or(|batch| self.row >= batch.len())
    }

    /// Reads until a batch with series is at hand, or the stream ends and none is.
    async fn read(&mut self) -> Result<(), Error> {
        self.row = 0;
        self.batch = None;
        while let Some(batch) = self.stream.next().await.transpose()? {
            if !batch.is_empty() {
                self.batch = Some(batch);
                break;
            }
        }
        Ok(())
    }

    fn samples(&self) -> (&[i64], &[f64]) {
        self.batch.as_ref().map_or((&[], &[]), |batch| batch.samples_at(self.row))
    }
}

/// Merges slices, the earlier of which win, and returns how many values lost against a different one.
fn merge_samples(slices: &[(&[i64], &[f64])], builder: &mut SeriesBatchBuilder) -> u64 {
    let mut in_time: Vec<_> = slices.to_vec();
    in_time.sort_by_key(|(ts, _)| ts[0]);
    let disjoint = in_time.windows(2).all(|two| two[0].0.last() < two[1].0.first());
    if disjoint {
        builder.samples_mut(|all_ts, all_values| {
            for (ts, values) in in_time {
                all_ts.extend_from_slice(ts);
                all_values.extend_from_slice(values);
            }
        });
        return 0;
    }
    let mut conflicts = 0;
    let mut at = vec![0; slices.len()];
    builder.samples_mut(|all_ts, all_values| {
        loop {
            let next = |(slice, &at): (&(&[i64], &[f64]), &usize)| slice.0.get(at).copied();
            let Some(ts) = slices.iter().zip(&at).filter_map(next).min() else { break };
            let mut winner: Option<f64> = None;
            for ((times, values), at) in slices.iter().zip(&mut at) {
                if times.get(*at) != Some(&ts) {
                    continue;
                }
                match winner {
                    None => winner = Some(values[*at]),
                    Some(value) => conflicts += u64::from(value.to_bits() != values[*at].to_bits()),
                }
                *at += 1;
            }
            all_ts.push(ts);
            all_values.extend(winner);
        }
    });
    conflicts
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use duramen_model::{Labels, Order, Sample, TimeRange, WriterId};
    use duramen_source::{Columns, MemorySource};
    use futures::TryStreamExt;
    use proptest::prelude::*;
    use ulid::Ulid;

    use super::*;

    type Series = Vec<(String, Vec<(i64, u64)>)>;

    fn part(order: u64, series: &[(u8, Vec<(i64, f64)>)]) -> Part {
        let mut source = MemorySource::default();
        for (name, samples) in series {
            let labels = Labels::from_pairs([("__name__", format!("m{name}").as_str())]).unwrap();
            source.push(labels, samples.iter().map(|(ts, v)| Sample::new(*ts, *v)));
        }
        let order = Order { opened: order, writer: WriterId(Ulid::nil()), flush: order };
        Part { order, source: Arc::new(source) }
    }

    fn read(merge: &MergeSource, batch_series_max: usize) -> Series {
        let request = SeriesRequest {
            tenants: Arc::new([]),
            matchers: Arc::new([]),
            range: TimeRange::ALL,
            columns: Columns::Samples,
            batch_series_max,
        };
        let batches: Vec<SeriesBatch> =
            futures::executor::block_on(async { merge.select(&request).await.unwrap().try_collect().await.unwrap() });
        let mut out = Vec::new();
        for batch in batches {
            for row in 0..batch.len() {
                let (ts, values) = batch.samples_at(row);
                let samples = ts.iter().zip(values).map(|(ts, v)| (*ts, v.to_bits())).collect();
                out.push((Labels::from_encoded(batch.labels_at(row)).unwrap().to_string(), samples));
            }
        }
        out
    }

    #[test]
    fn equal_samples_are_one_and_the_earlier_order_wins_a_conflict() {
        let conflicts = Counter::default();
        let parts = vec![
            part(2, &[(1, vec![(10, 1.0), (20, 9.0), (30, 3.0)])]),
            part(1, &[(1, vec![(10, 1.0), (20, 2.0)]), (2, vec![(5, 5.0)])]),
        ];
        let merge = MergeSource::new(parts, conflicts.clone());
        let bits = |samples: &[(i64, f64)]| samples.iter().map(|(ts, v)| (*ts, v.to_bits())).collect::<Vec<_>>();
        let expected =
            vec![("m1".to_owned(), bits(&[(10, 1.0), (20, 2.0), (30, 3.0)])), ("m2".to_owned(), bits(&[(5, 5.0)]))];
        assert_eq!(read(&merge, 10), expected);
        assert_eq!(conflicts.get(), 1);
    }

    type Offered = Vec<(u8, Vec<(i64, f64)>)>;

    fn offered() -> impl Strategy<Value = Vec<Offered>> {
        let samples = prop::collection::vec((0..30i64, (0..3u8).prop_map(f64::from)), 1..12);
        prop::collection::vec(prop::collection::vec((0..6u8, samples), 0..5), 1..5)
    }

    proptest! {
        #[test]
        fn a_merge_is_the_union_with_the_first_value_for_each_time(parts in offered(), batch in 1..4usize) {
            let merge_parts = (0..).zip(&parts).map(|(order, series)| part(order, series)).collect();
            let merge = MergeSource::new(merge_parts, Counter::default());
            let mut model = std::collections::BTreeMap::<String, std::collections::BTreeMap<i64, u64>>::new();
            for series in &parts {
                // Within one source a later value replaces an earlier one: that is what the memory source does.
                let mut own = std::collections::BTreeMap::new();
                for (name, samples) in series {
                    own.extend(samples.iter().map(|(ts, v)| ((format!("m{name}"), *ts), v.to_bits())));
                }
                for ((name, ts), bits) in own {
                    model.entry(name).or_default().entry(ts).or_insert(bits);
                }
            }
            let expected: Series = model.into_iter().map(|(name, s)| (name, s.into_iter().collect())).collect();
            prop_assert_eq!(read(&merge, batch), expected);
        }
    }
}
