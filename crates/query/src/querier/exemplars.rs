//! The exemplars of the series in a query.

use duramen_model::{AsOf, TenantName, TimeRange};
use duramen_source::merge::union;
use duramen_source::{Columns, SeriesExemplars};

use super::{Querier, Query};
use crate::answered::Answered;
use crate::error::Error;

impl Querier {
    /// Returns the exemplars of the series that match one of the selectors in a query. The series
    /// are sorted by labels and distinct. Exemplars are in order of time. `None` for a query
    /// without a selector.
    pub async fn exemplars(
        &self,
        tenant: &TenantName,
        query: &Query,
        range: TimeRange,
        as_of: Option<AsOf>,
    ) -> Result<Answered<Option<Vec<SeriesExemplars>>>, Error> {
        let asker = self.asker(tenant).reading(as_of);
        let max = asker.limits.query.exemplars_max;
        let source = self.view(&asker, None);
        let reader = asker.clone();
        let query = query.clone();

        let work = async move {
            let expr = reader.read(&query).await?;
            let selectors = reader.selectors_in(&expr)?;

            if selectors.is_empty() {
                return Ok(None);
            }

            let requests: Vec<_> = selectors
                .iter()
                .map(|of| reader.request(of, range, Columns::Labels))
                .collect();

            let mut found = Vec::new();

            for request in &requests {
                let more = source.exemplars(request).await?;
                found = union::exemplars([found, more]);

                let exemplars = found.iter().map(|series| series.exemplars.len()).sum();
                if exemplars > max {
                    return Err(Error::TooManyExemplars { exemplars, max });
                }
            }

            found.sort_by(|a, b| a.labels.cmp(&b.labels));
            Ok(Some(found))
        };

        self.bounded(&asker, None, self.computed(work)).await
    }
}
