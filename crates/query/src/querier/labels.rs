//! Series, label names and label values.

use std::collections::BTreeSet;

use duramen_model::{Labels, TenantName, TimeRange};
use duramen_qos::Use;
use duramen_source::{Columns, SeriesRequest};
use futures::StreamExt;

use super::{Asker, Querier};
use crate::answered::Answered;
use crate::error::Error;

/// Roughly what an element of a set takes besides its text.
const ELEMENT_BYTES: usize = 48;

impl Querier {
    /// Returns the label sets that match one of the selectors and have samples in the range. They
    /// are sorted and distinct. Without a selector, all label sets match.
    ///
    /// With `limit`, at most that many are returned, and whether there are more.
    pub async fn series(
        &self,
        tenant: &TenantName,
        selectors: &[String],
        range: TimeRange,
        limit: Option<usize>,
    ) -> Result<Answered<(Vec<Labels>, bool)>, Error> {
        let asker = self.asker(tenant);
        let max = asker.limits.query.metadata_series_max;
        let source = self.view(&asker);
        let reader = asker.clone();
        let selectors = selectors.to_vec();
        let mut share = self.engine.memory().share(Use::Query);

        let work = async move {
            let requests = reader.requests(&selectors, range).await?;
            let mut found = BTreeSet::new();
            let mut walked = 0;

            for request in &requests {
                let mut batches = source.select(request).await?;

                while let Some(batch) = batches.next().await {
                    let batch = batch?;

                    // Data in memory never waits, so yield here. It lets other tasks run, and the
                    // work ends if the request is cancelled.
                    tokio::task::yield_now().await;
                    walked += batch.len();

                    if walked > max {
                        return Err(Error::TooManySeries { max });
                    }

                    // Once as many as the limit are kept, no more memory is needed.
                    if limit.is_none_or(|limit| found.len() <= limit) {
                        let labels: usize =
                            (0..batch.len()).map(|row| batch.labels_at(row).len()).sum();
                        share.grow(labels + batch.len() * ELEMENT_BYTES)?;
                    }

                    for row in 0..batch.len() {
                        keep(
                            &mut found,
                            Labels::from_encoded_trusted(batch.labels_at(row)),
                            limit,
                        );
                    }
                }
            }

            Ok(cut(found, limit))
        };

        self.bounded(&asker, None, self.computed(work)).await
    }

    /// Returns the label names of the series that [`Querier::series`] would return.
    pub async fn label_names(
        &self,
        tenant: &TenantName,
        selectors: &[String],
        range: TimeRange,
        limit: Option<usize>,
    ) -> Result<Answered<(Vec<String>, bool)>, Error> {
        self.texts(tenant, selectors, range, limit, Texts::Names)
            .await
    }

    /// Returns the values of one label in the series that [`Querier::series`] would return.
    pub async fn label_values(
        &self,
        tenant: &TenantName,
        name: &str,
        selectors: &[String],
        range: TimeRange,
        limit: Option<usize>,
    ) -> Result<Answered<(Vec<String>, bool)>, Error> {
        self.texts(
            tenant,
            selectors,
            range,
            limit,
            Texts::ValuesOf(name.to_owned()),
        )
        .await
    }

    async fn texts(
        &self,
        tenant: &TenantName,
        selectors: &[String],
        range: TimeRange,
        limit: Option<usize>,
        texts: Texts,
    ) -> Result<Answered<(Vec<String>, bool)>, Error> {
        let asker = self.asker(tenant);
        let max = asker.limits.query.metadata_series_max;
        let source = self.view(&asker);
        let reader = asker.clone();
        let selectors = selectors.to_vec();
        let mut share = self.engine.memory().share(Use::Query);

        let work = async move {
            let requests = reader.requests(&selectors, range).await?;
            let mut found = BTreeSet::new();

            for request in &requests {
                let mut more = match &texts {
                    Texts::Names => source.label_names(request).await?,
                    Texts::ValuesOf(name) => source.label_values(request, name).await?,
                };

                let bytes = more.iter().map(|text| text.len() + ELEMENT_BYTES).sum();
                share.grow(bytes)?;
                found.append(&mut more);

                if found.len() > max {
                    return Err(Error::TooManyTexts { max });
                }
            }

            Ok(cut(found, limit))
        };

        self.bounded(&asker, None, self.computed(work)).await
    }
}

/// Which texts of labels are collected.
#[derive(Clone, Debug)]
enum Texts {
    Names,
    ValuesOf(String),
}

impl Asker {
    /// Makes a request for each selector, or one for all series if there is no selector.
    async fn requests(
        &self,
        selectors: &[String],
        range: TimeRange,
    ) -> Result<Vec<SeriesRequest>, Error> {
        let mut selectors = self.selectors(selectors).await?;
        if selectors.is_empty() {
            selectors.push(Vec::new());
        }

        Ok(selectors
            .iter()
            .map(|of| self.request(of, range, Columns::Labels))
            .collect())
    }
}

/// Adds an element. Keeps only the first `limit` elements, and one more to know whether there are
/// more.
fn keep<T: Ord>(found: &mut BTreeSet<T>, element: T, limit: Option<usize>) {
    found.insert(element);
    if limit.is_some_and(|limit| found.len() > limit.saturating_add(1)) {
        found.pop_last();
    }
}

/// Returns the first `limit` elements, and whether there are more.
fn cut<T: Ord>(found: BTreeSet<T>, limit: Option<usize>) -> (Vec<T>, bool) {
    let limit = limit.unwrap_or(usize::MAX);
    let more = found.len() > limit;
    (found.into_iter().take(limit).collect(), more)
}
