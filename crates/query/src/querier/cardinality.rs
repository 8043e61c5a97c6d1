//! How many series a tenant has, and with which labels.

use duramen_model::{AsOf, METRIC_NAME, Matcher, TenantName, TimeRange};
use duramen_source::{Columns, SeriesSummary};

use super::Querier;
use crate::answered::Answered;
use crate::error::Error;

/// Which series are summarized.
#[derive(Clone, Debug)]
pub enum Summarized {
    All,
    Metric(String),
    /// The series that a selector matches.
    Selector(String),
}

impl Querier {
    /// Returns summaries of the requested series that have samples in the range, in block order.
    pub async fn summaries(
        &self,
        tenant: &TenantName,
        of: Summarized,
        range: TimeRange,
        as_of: Option<AsOf>,
    ) -> Result<Answered<Vec<SeriesSummary>>, Error> {
        let asker = self.asker(tenant).reading(as_of);
        let max = asker.limits.query.metadata_series_max;
        let source = self.view(&asker, None);
        let reader = asker.clone();

        let work = async move {
            let matchers = match of {
                Summarized::All => Vec::new(),
                Summarized::Metric(name) => vec![Matcher::equal(METRIC_NAME, name)],
                Summarized::Selector(text) => {
                    reader.selectors(&[text]).await?.pop().unwrap_or_default()
                }
            };

            let request = reader.request(&matchers, range, Columns::Labels);
            let found = source.summaries(&request).await?;

            if found.len() > max {
                return Err(Error::TooManySeries { max });
            }

            Ok(found)
        };

        self.bounded(&asker, None, self.computed(work)).await
    }
}
