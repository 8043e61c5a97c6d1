//! How many series a tenant has, and of which labels.

use duramen_model::{Matcher, TenantName, TimeRange};
use duramen_source::{Columns, SeriesSummary};

use super::Querier;
use crate::answered::Answered;
use crate::error::Error;

impl Querier {
    /// Summaries of the series that pass all matchers and have samples in the range, in block order.
    pub async fn summaries(
        &self,
        tenant: &TenantName,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Answered<Vec<SeriesSummary>>, Error> {
        let asker = self.asker(tenant);
        let max = asker.limits.query.metadata_series_max;
        let (source, request) = (self.view(&asker), asker.request(matchers, range, Columns::Labels));
        let work = async move {
            let found = source.summaries(&request).await?;
            if found.len() > max {
                return Err(Error::TooManySeries { max });
            }
            Ok(found)
        };
        self.bounded(&asker, None, self.computed(work)).await
    }
}
