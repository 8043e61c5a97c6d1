//! Series, label names and label values.

use std::collections::BTreeSet;
use std::sync::Arc;

use duramen_model::{AsOf, Labels, TenantName, TimeRange};
use duramen_qos::Budget;
use duramen_source::{Columns, LeftOut, SeriesRequest, SeriesSource};
use futures::StreamExt;

use super::{Asker, Querier};
use crate::answered::Answered;
use crate::error::Error;
use crate::partial::{Partial, left_out, settled};

/// Roughly what an element of a set takes besides its text.
const ELEMENT_BYTES: usize = 48;

/// Which series are listed, or whose labels.
#[derive(Clone, Debug)]
pub struct Listing {
    /// A series must match one of them. Without a selector, all series match.
    pub selectors: Vec<String>,
    /// A series must have samples in it.
    pub range: TimeRange,
    /// The most elements that are returned.
    pub limit: Option<usize>,
    /// Replaces [`duramen_limits::QueryLimits::partial_response`].
    pub partial_response: Option<bool>,
    /// Reads a past state of the bucket, in place of the present.
    pub as_of: Option<AsOf>,
}

/// Elements that were found, sorted and distinct, and whether there are more than the limit.
pub type Listed<T> = (Vec<T>, bool);

impl Querier {
    /// Returns the label sets of series.
    pub async fn series(
        &self,
        tenant: &TenantName,
        listing: Listing,
    ) -> Result<Answered<Partial<Listed<Labels>>>, Error> {
        let asker = self.asker(tenant).reading(listing.as_of.clone());
        let left_out = left_out(listing.partial_response, &asker.limits.query);
        let lister = self.lister(&asker, &listing, left_out.clone());
        let reader = asker.clone();

        let work = async move {
            let requests = reader.requests(&listing).await?;
            settled(left_out.as_deref(), || lister.label_sets(&requests)).await
        };

        self.partly(&asker, None, work).await
    }

    /// Returns the label names of the series that [`Querier::series`] would return.
    pub async fn label_names(
        &self,
        tenant: &TenantName,
        listing: Listing,
    ) -> Result<Answered<Partial<Listed<String>>>, Error> {
        self.texts(tenant, listing, Texts::Names).await
    }

    /// Returns the values of one label in the series that [`Querier::series`] would return.
    pub async fn label_values(
        &self,
        tenant: &TenantName,
        name: &str,
        listing: Listing,
    ) -> Result<Answered<Partial<Listed<String>>>, Error> {
        self.texts(tenant, listing, Texts::ValuesOf(name.to_owned()))
            .await
    }

    async fn texts(
        &self,
        tenant: &TenantName,
        listing: Listing,
        texts: Texts,
    ) -> Result<Answered<Partial<Listed<String>>>, Error> {
        let asker = self.asker(tenant).reading(listing.as_of.clone());
        let left_out = left_out(listing.partial_response, &asker.limits.query);
        let lister = self.lister(&asker, &listing, left_out.clone());
        let reader = asker.clone();

        let work = async move {
            let requests = reader.requests(&listing).await?;
            settled(left_out.as_deref(), || lister.texts(&requests, &texts)).await
        };

        self.partly(&asker, None, work).await
    }

    fn lister(&self, asker: &Asker, listing: &Listing, left_out: Option<Arc<LeftOut>>) -> Lister {
        Lister {
            source: self.view(asker, left_out),
            memory: asker.memory.clone(),
            max: asker.limits.query.metadata_series_max,
            limit: listing.limit,
        }
    }
}

/// Reads series and collects their labels.
#[derive(Debug)]
struct Lister {
    source: Arc<dyn SeriesSource>,
    memory: Budget,
    /// The most series to visit, and the most texts to find.
    max: usize,
    /// The most elements that are returned.
    limit: Option<usize>,
}

impl Lister {
    async fn label_sets(&self, requests: &[SeriesRequest]) -> Result<Listed<Labels>, Error> {
        let limit = self.limit;
        let mut reserved = self.memory.reservation();
        let mut found = BTreeSet::new();
        let mut walked = 0;

        for request in requests {
            let mut batches = self.source.select(request).await?;

            while let Some(batch) = batches.next().await {
                let batch = batch?;

                // Data in memory never waits, so yield here. It lets other tasks run, and the
                // work ends if the request is cancelled.
                tokio::task::yield_now().await;
                walked += batch.len();

                if walked > self.max {
                    return Err(Error::TooManySeries { max: self.max });
                }

                // Once as many as the limit are kept, no more memory is needed.
                if limit.is_none_or(|limit| found.len() <= limit) {
                    let labels: usize =
                        (0..batch.len()).map(|row| batch.labels_at(row).len()).sum();
                    reserved.grow(labels + batch.len() * ELEMENT_BYTES)?;
                }

                for row in 0..batch.len() {
                    let labels = Labels::from_encoded_trusted(batch.labels_at(row));
                    keep(&mut found, labels, limit);
                }
            }
        }

        Ok(cut(found, limit))
    }

    async fn texts(
        &self,
        requests: &[SeriesRequest],
        texts: &Texts,
    ) -> Result<Listed<String>, Error> {
        let mut found = BTreeSet::new();

        for request in requests {
            // A run before this one may have been torn.
            request.reads.release(usize::MAX);

            let more = match texts {
                Texts::Names => self.source.label_names(request).await?,
                Texts::ValuesOf(name) => self.source.label_values(request, name).await?,
            };

            found = duramen_source::Texts::union(&request.reads, found, more);

            if found.len() > self.max {
                return Err(Error::TooManyTexts { max: self.max });
            }
        }

        Ok(cut(found, self.limit))
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
    async fn requests(&self, listing: &Listing) -> Result<Vec<SeriesRequest>, Error> {
        let mut selectors = self.selectors(&listing.selectors).await?;
        if selectors.is_empty() {
            selectors.push(Vec::new());
        }

        Ok(selectors
            .iter()
            .map(|of| self.request(of, listing.range, Columns::Labels))
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
fn cut<T: Ord>(found: BTreeSet<T>, limit: Option<usize>) -> Listed<T> {
    let limit = limit.unwrap_or(usize::MAX);
    let more = found.len() > limit;
    (found.into_iter().take(limit).collect(), more)
}
