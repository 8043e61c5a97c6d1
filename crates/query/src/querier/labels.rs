//! Series, label names and label values.

use std::collections::BTreeSet;

use duramen_model::{Labels, TenantName, TimeRange};
use duramen_qos::Use;
use duramen_source::{Columns, SeriesRequest};
use futures::StreamExt;

use super::{Asker, Querier};
use crate::answered::Answered;
use crate::error::Error;

/// What an element of a set takes beside its text, about.
const ELEMENT_BYTES: usize = 48;

impl Querier {
    /// The label sets that pass one of the selectors and have samples in the range, sorted, each
    /// once; all when there is no selector.
    ///
    /// With `limit`, that many of them, and whether there are more.
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

                    // What is in memory is never waited for: let others have their turn, and end
                    // when nobody asks any more.
                    tokio::task::yield_now().await;
                    walked += batch.len();

                    if walked > max {
                        return Err(Error::TooManySeries { max });
                    }

                    // What is kept is at most what comes, and the limit bounds what is kept of it.
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

    /// The label names of the series that [`Querier::series`] would find.
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

    /// The values of one label in the series that [`Querier::series`] would find.
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

/// Which texts of labels are asked for.
#[derive(Clone, Debug)]
enum Texts {
    Names,
    ValuesOf(String),
}

impl Asker {
    /// Asks for the labels of each selector; without any, for all of them.
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

/// Adds an element and keeps no more than are needed to know the first `limit` and whether there
/// are more.
fn keep<T: Ord>(found: &mut BTreeSet<T>, element: T, limit: Option<usize>) {
    found.insert(element);
    if limit.is_some_and(|limit| found.len() > limit.saturating_add(1)) {
        found.pop_last();
    }
}

/// The first `limit` elements, and whether there are more.
fn cut<T: Ord>(found: BTreeSet<T>, limit: Option<usize>) -> (Vec<T>, bool) {
    let limit = limit.unwrap_or(usize::MAX);
    let more = found.len() > limit;
    (found.into_iter().take(limit).collect(), more)
}
