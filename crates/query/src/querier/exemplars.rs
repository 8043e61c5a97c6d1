//! Exemplars of the series in a query.

use duramen_model::{Matcher, TenantName, TimeRange};
use duramen_source::{Columns, SeriesExemplars};
use duramen_syntax::Expr;

use super::{Querier, Query};
use crate::answered::Answered;
use crate::error::Error;
use crate::merge::union;
use crate::selector::matchers;

impl Query {
    /// The conditions of all selectors, in the order of the text.
    pub fn selectors(&self) -> Result<Vec<Vec<Matcher>>, Error> {
        let mut found = Vec::new();
        self.expr.walk(&mut |expr| match expr {
            Expr::VectorSelector(selector) => found.push(matchers(selector)),
            Expr::MatrixSelector { selector, .. } => found.push(matchers(selector)),
            _ => {}
        });
        found.into_iter().collect()
    }
}

impl Querier {
    /// The exemplars of the series that pass one of the selectors: series sorted by their labels, each once, its exemplars by time.
    pub async fn exemplars(
        &self,
        tenant: &TenantName,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Answered<Vec<SeriesExemplars>>, Error> {
        let asker = self.asker(tenant);
        let max = asker.limits.query.exemplars_max;
        let source = self.view(&asker);
        let requests: Vec<_> = selectors.iter().map(|of| asker.request(of, range, Columns::Labels)).collect();
        let work = async move {
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
            Ok(found)
        };
        self.bounded(&asker, None, self.computed(work)).await
    }
}
