//! A source without what is beyond its retention.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use duramen_model::deletion::passes;
use duramen_model::{FamilyMetadata, Matcher, NameBounds, TimeRange};
use futures::{StreamExt, stream};

use crate::cut::{Cut, Hidden, without};
use crate::presence::PresenceStream;
use crate::rollup::hidden::filtered;
use crate::rollup::{Coverage, RollupSource, RollupStream, WantedRollups};
use crate::undecoded::{UndecodedStream, as_undecoded};
use crate::{
    Columns, Error, SeriesBatchBuilder, SeriesExemplars, SeriesRequest, SeriesSource, SeriesStream,
    SeriesSummary, walk,
};

/// From which time on samples are kept, at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Retention {
    /// The first rule whose matchers a series passes counts.
    rules: Vec<(Arc<[Matcher]>, i64)>,
    /// The time of all other series.
    others_ms: i64,
    /// From which time on rollups are kept, by their resolution, if that is longer than the samples.
    rollups: Vec<(i64, i64)>,
}

impl Retention {
    /// `rules` have the matchers of series and the time from which on these are kept; `others_ms`
    /// is the time of all other series. The smallest number keeps everything.
    pub const fn new(rules: Vec<(Arc<[Matcher]>, i64)>, others_ms: i64) -> Self {
        Self {
            rules,
            others_ms,
            rollups: Vec::new(),
        }
    }

    /// The same, where rollups of some resolutions are kept from another time on. `rollups` are
    /// resolutions with these times.
    #[must_use]
    pub fn with_rollups(self, rollups: Vec<(i64, i64)>) -> Self {
        Self { rollups, ..self }
    }

    /// The time from which on rollups of this resolution are kept of the series with these labels.
    /// They are kept as long as its samples at least.
    pub fn rollups_kept_from_ms(&self, encoded: &[u8], resolution_ms: i64) -> i64 {
        self.kept_from_ms(encoded)
            .min(self.rollups_from_ms(resolution_ms))
    }

    /// The time before which no rollup of this resolution is kept of series with names within these
    /// bounds.
    pub fn rollups_earliest_ms(&self, names: Option<&NameBounds>, resolution_ms: i64) -> i64 {
        self.earliest_within_ms(names)
            .min(self.rollups_from_ms(resolution_ms))
    }

    /// The resolutions of which rollups of this time are kept by a rule of their own.
    pub fn rollups_kept_of(&self, ts_ms: i64) -> Vec<i64> {
        let kept = self.rollups.iter().filter(|(_, from_ms)| *from_ms <= ts_ms);
        kept.map(|(resolution_ms, _)| *resolution_ms).collect()
    }

    /// The time from which on there are rollups that are kept by a rule of their own.
    fn any_rollup_from_ms(&self) -> i64 {
        let rollups = self.rollups.iter().map(|(_, from_ms)| *from_ms);
        rollups.fold(i64::MAX, i64::min)
    }

    fn rollups_from_ms(&self, resolution_ms: i64) -> i64 {
        let mut rollups = self.rollups.iter();
        let found = rollups.find(|(resolution, _)| *resolution == resolution_ms);
        found.map_or(i64::MAX, |(_, from_ms)| *from_ms)
    }

    /// The time before which nothing is kept.
    pub fn earliest_ms(&self) -> i64 {
        let rules = self.rules.iter().map(|(_, from_ms)| *from_ms);
        rules.fold(self.others_ms, i64::min)
    }

    /// The time before which nothing is kept of series with names within these bounds.
    pub fn earliest_within_ms(&self, names: Option<&NameBounds>) -> i64 {
        let may_match = |matchers: &[Matcher]| names.is_none_or(|names| names.may_match(matchers));
        let rules = self.rules.iter().filter(|(of, _)| may_match(of));
        rules.fold(self.others_ms, |earliest, (_, from_ms)| {
            earliest.min(*from_ms)
        })
    }

    /// The time from which on everything is kept.
    pub fn latest_ms(&self) -> i64 {
        let rules = self.rules.iter().map(|(_, from_ms)| *from_ms);
        rules.fold(self.others_ms, i64::max)
    }

    /// The time from which on the series with these labels is kept.
    fn kept_from_ms(&self, encoded: &[u8]) -> i64 {
        let mut rules = self.rules.iter();
        let rule = rules.find(|(matchers, _)| passes(matchers, encoded));
        rule.map_or(self.others_ms, |(_, from_ms)| *from_ms)
    }

    fn hidden(&self, encoded: &[u8], range: TimeRange) -> Hidden {
        let expired = TimeRange::new(i64::MIN, self.kept_from_ms(encoded));
        let cut = expired.map(|range| Cut { range, value: None });
        Hidden::of(cut, range)
    }
}

/// A source whose older samples are hidden.
///
/// A request that reaches back far asks the source for what is kept only. If series are kept for
/// different times, the matchers run once for each series of such a request.
#[derive(Debug)]
pub struct RetainedSource {
    source: Arc<dyn SeriesSource>,
    retention: Arc<Retention>,
}

impl RetainedSource {
    pub const fn new(source: Arc<dyn SeriesSource>, retention: Arc<Retention>) -> Self {
        Self { source, retention }
    }

    /// Whether a part of the range is not kept for all series.
    fn reaches(&self, range: TimeRange) -> bool {
        range.start_ms() < self.retention.latest_ms()
    }

    /// Returns the request for the samples that are kept of at least one series. `None` if none are.
    fn kept<'r>(&self, request: &'r SeriesRequest) -> Option<Cow<'r, SeriesRequest>> {
        from(request, self.retention.earliest_ms())
    }

    /// Returns the request for the names of what is kept: of samples or of rollups. `None` if
    /// nothing is.
    fn named<'r>(&self, request: &'r SeriesRequest) -> Option<Cow<'r, SeriesRequest>> {
        let samples_ms = self.retention.earliest_ms();
        from(request, samples_ms.min(self.retention.any_rollup_from_ms()))
    }

    /// Returns the summaries of the series whose last sample is kept, or is in rollups that are.
    async fn kept_summaries(&self, kept: &SeriesRequest) -> Result<Vec<SeriesSummary>, Error> {
        let mut all = self.source.summaries(kept).await?;
        if self.reaches(kept.range) {
            all.retain(|series| {
                let kept_ms = self.retention.kept_from_ms(series.labels.encoded());
                series.last_ms >= kept_ms.min(self.retention.any_rollup_from_ms())
            });
        }

        Ok(all)
    }

    /// Selects labels. As everywhere, a series counts if the range meets the time from its first
    /// to its last sample.
    async fn labels(&self, kept: &SeriesRequest) -> Result<SeriesStream, Error> {
        if !self.reaches(kept.range) {
            return self.source.select(kept).await;
        }

        let summaries = self.kept_summaries(kept).await?;
        let batches: Vec<_> = summaries
            .chunks(kept.batch_series_max.max(1))
            .map(|chunk| {
                let mut builder = SeriesBatchBuilder::default();
                for series in chunk {
                    builder.end_series(series.labels.encoded());
                }

                Ok(builder.finish())
            })
            .collect();

        Ok(Box::pin(stream::iter(batches)))
    }
}

/// Returns the request for times from `earliest_ms` on. `None` if it asks for earlier ones only.
fn from(request: &SeriesRequest, earliest_ms: i64) -> Option<Cow<'_, SeriesRequest>> {
    if request.range.start_ms() >= earliest_ms {
        return Some(Cow::Borrowed(request));
    }

    let range = TimeRange::new(earliest_ms, request.range.end_ms())?;
    Some(Cow::Owned(SeriesRequest {
        range,
        ..request.clone()
    }))
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SeriesSource for RetainedSource {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error> {
        if request.columns == Columns::Labels {
            return match self.named(request) {
                Some(named) => self.labels(&named).await,
                None => Ok(Box::pin(stream::empty())),
            };
        }

        let Some(kept) = self.kept(request) else {
            return Ok(Box::pin(stream::empty()));
        };

        let batches = self.source.select(&kept).await?;
        if !self.reaches(request.range) {
            return Ok(batches);
        }

        // A source may return samples outside of the range, which the reader does not expect to be
        // hidden.
        let retention = Arc::clone(&self.retention);
        let range = request.range;
        let cut = move |encoded: &[u8]| retention.hidden(encoded, range);
        Ok(Box::pin(
            batches.map(move |batch| Ok(without(batch?, &cut))),
        ))
    }

    async fn select_undecoded(&self, request: &SeriesRequest) -> Result<UndecodedStream, Error> {
        match self.reaches(request.range) {
            false => self.source.select_undecoded(request).await,
            true => self.select(request).await.map(as_undecoded),
        }
    }

    /// A trace may be about samples that are hidden, so there is none if some are.
    async fn presence(
        &self,
        request: &SeriesRequest,
        from_ms: i64,
    ) -> Result<Option<PresenceStream>, Error> {
        match self.reaches(request.range) {
            false => self.source.presence(request, from_ms).await,
            true => Ok(None),
        }
    }

    async fn exemplars(&self, request: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        let Some(kept) = self.kept(request) else {
            return Ok(Vec::new());
        };

        let mut all = self.source.exemplars(&kept).await?;
        if self.reaches(kept.range) {
            for series in &mut all {
                let from_ms = self.retention.kept_from_ms(series.labels.encoded());
                series.exemplars.retain(|one| one.ts_ms >= from_ms);
            }

            all.retain(|series| !series.exemplars.is_empty());
        }

        Ok(all)
    }

    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, Error> {
        self.source.metadata().await
    }

    async fn summaries(&self, request: &SeriesRequest) -> Result<Vec<SeriesSummary>, Error> {
        match self.named(request) {
            Some(kept) => self.kept_summaries(&kept).await,
            None => Ok(Vec::new()),
        }
    }

    async fn label_names(&self, request: &SeriesRequest) -> Result<BTreeSet<String>, Error> {
        match self.named(request) {
            None => Ok(BTreeSet::new()),
            Some(kept) if self.reaches(kept.range) => {
                walk::label_names(self.labels(&kept).await?, &request.reads).await
            }
            Some(kept) => self.source.label_names(&kept).await,
        }
    }

    async fn label_values(
        &self,
        request: &SeriesRequest,
        name: &str,
    ) -> Result<BTreeSet<String>, Error> {
        match self.named(request) {
            None => Ok(BTreeSet::new()),
            Some(kept) if self.reaches(kept.range) => {
                walk::label_values(self.labels(&kept).await?, name, &request.reads).await
            }
            Some(kept) => self.source.label_values(&kept, name).await,
        }
    }

    async fn ttl_max_ms(&self) -> Result<i64, Error> {
        self.source.ttl_max_ms().await
    }

    fn rollups(&self) -> Option<&dyn RollupSource> {
        self.source.rollups().map(|_| self as &dyn RollupSource)
    }
}

#[async_trait]
impl RollupSource for RetainedSource {
    /// Rollups that are not kept cover nothing, and samples that are not kept are gone.
    async fn coverage(&self) -> Result<Vec<Coverage>, Error> {
        let Some(rollups) = self.source.rollups() else {
            return Ok(Vec::new());
        };

        let mut all = rollups.coverage().await?;
        let samples_ms = self.retention.earliest_ms();

        for coverage in &mut all {
            let rollups_ms = self.retention.rollups_from_ms(coverage.resolution_ms);
            coverage.keep(rollups_ms.min(samples_ms), samples_ms);
        }

        Ok(all)
    }

    async fn rows(
        &self,
        request: &SeriesRequest,
        wanted: WantedRollups,
    ) -> Result<RollupStream, Error> {
        let Some(rollups) = self.source.rollups() else {
            return Ok(Box::pin(stream::empty()));
        };

        let rows = rollups.rows(request, wanted).await?;
        let retention = Arc::clone(&self.retention);
        Ok(filtered(rows, move |labels, row| {
            row.end_ms < retention.rollups_kept_from_ms(labels.encoded(), wanted.resolution_ms)
        }))
    }
}
