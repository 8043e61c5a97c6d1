//! A source without what was deleted from it.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use duramen_model::{Deletion, FamilyMetadata, TimeRange};
use futures::StreamExt;

use crate::cut::{Cut, Hidden, is_left, without};
use crate::merge::exemplars::ExemplarStream;
use crate::presence::PresenceStream;
use crate::rollup::RollupSource;
use crate::undecoded::{UndecodedStream, as_undecoded};
use crate::{
    Columns, Error, SeriesBatch, SeriesBatchBuilder, SeriesExemplars, SeriesRequest, SeriesSource,
    SeriesStream, SeriesSummary, walk,
};

/// A source of which a part was deleted. No answer shows deleted samples, nor a series that has no
/// others in the requested range.
///
/// A request that the deletions cannot touch goes to the source as it is. For any other one, their
/// matchers run once for each series that the request finds. Requests for labels read samples if
/// only a part of the range was deleted.
#[derive(Debug)]
pub struct MaskedSource {
    source: Arc<dyn SeriesSource>,
    deletions: Vec<Arc<Deletion>>,
    /// All times that the source can have.
    range: TimeRange,
}

impl MaskedSource {
    /// Hides what was deleted. `range` has all times of the source.
    pub const fn new(
        source: Arc<dyn SeriesSource>,
        deletions: Vec<Arc<Deletion>>,
        range: TimeRange,
    ) -> Self {
        Self {
            source,
            deletions,
            range,
        }
    }

    /// Returns the deletions that can touch the answer to a request, if there is one.
    fn touching(&self, request: &SeriesRequest) -> Option<Touching> {
        let range = self.range.intersect(request.range)?;
        let touches = |deletion: &&Arc<Deletion>| {
            deletion.range.overlaps(range) && deletion.may_meet(&request.matchers)
        };

        let deletions: Vec<_> = self
            .deletions
            .iter()
            .filter(touches)
            .map(Arc::clone)
            .collect();

        (!deletions.is_empty()).then_some(Touching { deletions, range })
    }
}

/// Leaves out the exemplars that were deleted. `range` has all times of the stream.
pub fn exemplars_left(
    stream: ExemplarStream,
    deletions: Vec<Arc<Deletion>>,
    range: TimeRange,
) -> ExemplarStream {
    let touching = Touching { deletions, range };

    Box::pin(stream.map(move |series| {
        let mut series = series?;
        touching.cut_exemplars(&mut series);
        Ok(series)
    }))
}

/// The deletions that can touch the answer to a request, and the times of the answer.
#[derive(Clone, Debug)]
struct Touching {
    deletions: Vec<Arc<Deletion>>,
    range: TimeRange,
}

impl Touching {
    /// Whether each series is deleted as a whole or not at all.
    fn is_whole(&self) -> bool {
        let is_whole = |deletion: &Arc<Deletion>| {
            deletion.value.is_none() && deletion.range.intersect(self.range) == Some(self.range)
        };

        self.deletions.iter().all(is_whole)
    }

    fn hidden(&self, encoded: &[u8]) -> Hidden {
        let means = self.deletions.iter().filter(|of| of.means(encoded));
        let cuts = means.map(|of| Cut {
            range: of.range,
            value: of.value,
        });

        Hidden::of(cuts, self.range)
    }

    /// Selects samples, and leaves out the deleted ones.
    async fn samples(
        self,
        source: &dyn SeriesSource,
        request: &SeriesRequest,
    ) -> Result<SeriesStream, Error> {
        let batches = source.select(request).await?;
        let cut = move |encoded: &[u8]| self.hidden(encoded);

        Ok(Box::pin(
            batches.map(move |batch| Ok(without(batch?, &cut))),
        ))
    }

    /// Selects the labels of the series of which something is left.
    async fn labels(
        self,
        source: &dyn SeriesSource,
        request: &SeriesRequest,
    ) -> Result<SeriesStream, Error> {
        let columns = match self.is_whole() {
            true => Columns::Labels,
            false => Columns::Samples,
        };

        let batches = source.select(&request.with_columns(columns)).await?;
        Ok(Box::pin(
            batches.map(move |batch| Ok(self.left_labels(&batch?))),
        ))
    }

    fn left_labels(&self, batch: &SeriesBatch) -> SeriesBatch {
        let mut builder = SeriesBatchBuilder::default();

        for row in 0..batch.len() {
            let labels = batch.labels_at(row);
            let is_shown = match self.hidden(labels) {
                Hidden::Nothing => true,
                Hidden::All => false,
                Hidden::Some(cuts) => is_left(batch, row, &cuts, self.range),
            };

            if is_shown {
                builder.end_series(labels);
            }
        }

        builder.finish()
    }

    fn cut_exemplars(&self, all: &mut Vec<SeriesExemplars>) {
        for series in &mut *all {
            match self.hidden(series.labels.encoded()) {
                Hidden::Nothing => {}
                Hidden::All => series.exemplars.clear(),
                Hidden::Some(cuts) => {
                    let takes = |ts_ms| cuts.iter().any(|cut| cut.takes(ts_ms));
                    series.exemplars.retain(|one| !takes(one.ts_ms));
                }
            }
        }

        all.retain(|series| !series.exemplars.is_empty());
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SeriesSource for MaskedSource {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error> {
        match (self.touching(request), request.columns) {
            (None, _) => self.source.select(request).await,
            (Some(touching), Columns::Labels) => touching.labels(&*self.source, request).await,
            (Some(touching), _) => touching.samples(&*self.source, request).await,
        }
    }

    async fn select_undecoded(&self, request: &SeriesRequest) -> Result<UndecodedStream, Error> {
        match self.touching(request) {
            None => self.source.select_undecoded(request).await,
            Some(_) => self.select(request).await.map(as_undecoded),
        }
    }

    /// A trace does not tell which sample it comes from, so there is none if some are deleted.
    async fn presence(
        &self,
        request: &SeriesRequest,
        from_ms: i64,
    ) -> Result<Option<PresenceStream>, Error> {
        match self.touching(request) {
            None => self.source.presence(request, from_ms).await,
            Some(_) => Ok(None),
        }
    }

    async fn exemplars(&self, request: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        let mut exemplars = self.source.exemplars(request).await?;
        if let Some(touching) = self.touching(request) {
            touching.cut_exemplars(&mut exemplars);
        }

        Ok(exemplars)
    }

    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, Error> {
        self.source.metadata().await
    }

    async fn summaries(&self, request: &SeriesRequest) -> Result<Vec<SeriesSummary>, Error> {
        let Some(touching) = self.touching(request) else {
            return self.source.summaries(request).await;
        };

        if !touching.is_whole() {
            let samples = request.with_columns(Columns::Samples);
            let batches = touching.samples(&*self.source, &samples).await?;
            return walk::summaries(batches, &request.reads).await;
        }

        let mut all = self.source.summaries(request).await?;
        all.retain(|series| touching.hidden(series.labels.encoded()) == Hidden::Nothing);
        Ok(all)
    }

    async fn label_names(&self, request: &SeriesRequest) -> Result<BTreeSet<String>, Error> {
        match self.touching(request) {
            None => self.source.label_names(request).await,
            Some(of) => {
                walk::label_names(of.labels(&*self.source, request).await?, &request.reads).await
            }
        }
    }

    async fn label_values(
        &self,
        request: &SeriesRequest,
        name: &str,
    ) -> Result<BTreeSet<String>, Error> {
        match self.touching(request) {
            None => self.source.label_values(request, name).await,
            Some(of) => {
                walk::label_values(
                    of.labels(&*self.source, request).await?,
                    name,
                    &request.reads,
                )
                .await
            }
        }
    }

    async fn ttl_max_ms(&self) -> Result<i64, Error> {
        self.source.ttl_max_ms().await
    }

    fn rollups(&self) -> Option<&dyn RollupSource> {
        None
    }
}
