//! Stored series, for clients that evaluate queries themselves.

use std::sync::Arc;

use duramen_limits::QueryLimits;
use duramen_model::labels::LabelsIter;
use duramen_model::{AsOf, Matcher, TenantName, TimeRange};
use duramen_qos::Reservation;
use duramen_source::{Columns, SeriesRequest, SeriesSource, SeriesStream};
use futures::StreamExt;

use super::{Asker, Querier};
use crate::answered::Answered;
use crate::error::Error;

/// The number of series in a batch. Smaller than for queries, because all columns of a series may
/// be requested.
const BATCH_SERIES: usize = 128;

/// Which series, and which part of them.
#[derive(Clone, Debug)]
pub struct Selection {
    /// A series must satisfy all matchers. Without matchers, every series is selected.
    pub matchers: Vec<Matcher>,
    pub range: TimeRange,
    pub columns: Columns,
}

/// Reads one tenant's series, during one turn of [`Querier::read`].
#[derive(Debug)]
pub struct Reader {
    source: Arc<dyn SeriesSource>,
    asker: Arc<Asker>,
}

impl Querier {
    /// Calls `work` with a reader during its turn, as one query of the tenant. Everything that
    /// `work` waits for counts against the query's timeout, including a client that reads slowly.
    /// Dropping the future cancels the work.
    pub async fn read<T, F>(
        &self,
        tenant: &TenantName,
        as_of: Option<AsOf>,
        work: impl FnOnce(Reader) -> F,
    ) -> Result<Answered<T>, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let asker = Arc::new(self.asker(tenant).reading(as_of));
        let source = self.view(&asker, None);

        let reader = Reader {
            source,
            asker: Arc::clone(&asker),
        };

        self.bounded(&asker, None, self.computed(work(reader)))
            .await
    }
}

impl Reader {
    /// Returns the limits of the tenant during this turn.
    pub fn limits(&self) -> &QueryLimits {
        &self.asker.limits.query
    }

    /// Returns an empty reservation in the budget of the request, for data that is kept.
    pub fn reservation(&self) -> Reservation {
        self.asker.memory.reservation()
    }

    /// Parses selectors that may match everything, or have no matchers at all.
    pub async fn selectors(&self, texts: &[String]) -> Result<Vec<Vec<Matcher>>, Error> {
        self.asker.open_selectors(texts).await
    }

    /// Returns the series of a selection, in block order. Samples outside of the range may be
    /// included.
    pub async fn select(&self, selection: &Selection) -> Result<SeriesStream, Error> {
        for matcher in &selection.matchers {
            matcher.compile();
            tokio::task::yield_now().await;
        }

        let request = self
            .asker
            .request(&selection.matchers, selection.range, selection.columns);
        let request = SeriesRequest {
            batch_series_max: BATCH_SERIES,
            ..request
        };

        Ok(self.source.select(&request).await?)
    }

    /// Returns whether the series of a selection are in the same order in blocks and in answers
    /// ([`Ord`] of [`duramen_model::Labels`]). They are not if label names sort before `__name__`,
    /// as capital letters do. Reads the labels of all series.
    pub async fn is_in_answer_order(&self, selection: &Selection) -> Result<bool, Error> {
        let mut batches = self
            .select(&Selection {
                columns: Columns::Labels,
                ..selection.clone()
            })
            .await?;

        let mut last: Vec<u8> = Vec::new();

        while let Some(batch) = batches.next().await {
            let batch = batch?;

            for row in 0..batch.len() {
                let next = batch.labels_at(row);
                if LabelsIter::over(next).lt(LabelsIter::over(&last)) {
                    return Ok(false);
                }

                last.clear();
                last.extend_from_slice(next);
            }

            tokio::task::yield_now().await;
        }

        Ok(true)
    }

    /// Returns the longest life span of the tenant's samples that have their own instead of the
    /// look-back; 0 if there are none.
    pub async fn ttl_max_ms(&self) -> Result<i64, Error> {
        Ok(self.source.ttl_max_ms().await?)
    }
}
