//! The view that all reads of one request share.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use duramen_model::{AsOf, FamilyMetadata, TenantId};
use duramen_source::{
    Coverage, Error, LeftOut, PresenceStream, RetainedSource, Retention, RollupSource,
    RollupStream, SeriesExemplars, SeriesRequest, SeriesSource, SeriesStream, SeriesSummary,
    UndecodedStream, Views, WantedRollups,
};
use futures::stream;
use tokio::sync::OnceCell;

/// Takes a view at the first read and uses it for all reads. So everything that one request reads
/// is of one moment: each selector of a query, both passes of a remote read, and what is read
/// before a plan is made.
///
/// The first read happens during the request's turn, on the threads that compute.
#[derive(Debug)]
pub struct RequestView {
    of: Arc<dyn Views>,
    tenants: Arc<[TenantId]>,
    /// The past state that is read, in place of the present.
    as_of: Option<AsOf>,
    /// Notes the blocks that a partial answer leaves out. Without it, answers are complete.
    left_out: Option<Arc<LeftOut>>,
    /// What is too old is not in the view.
    retention: Option<Arc<Retention>>,
    view: OnceCell<Arc<dyn SeriesSource>>,
}

impl RequestView {
    /// Creates a view that is taken later, at the first read.
    pub fn new(
        of: Arc<dyn Views>,
        tenants: Arc<[TenantId]>,
        left_out: Option<Arc<LeftOut>>,
    ) -> Self {
        Self {
            of,
            tenants,
            as_of: None,
            left_out,
            retention: None,
            view: OnceCell::new(),
        }
    }

    /// A view of a past state.
    #[must_use]
    pub fn at(self, as_of: Option<AsOf>) -> Self {
        Self { as_of, ..self }
    }

    /// The same view without what is beyond `retention`.
    #[must_use]
    pub fn keeping(self, retention: Option<Retention>) -> Self {
        Self {
            retention: retention.map(Arc::new),
            ..self
        }
    }

    async fn view(&self) -> Result<&Arc<dyn SeriesSource>, Error> {
        let take = async || {
            let left_out = self.left_out.as_ref();
            let view = self
                .of
                .view(&self.tenants, self.as_of.as_ref(), left_out)
                .await?;

            Ok(match &self.retention {
                None => view,
                Some(retention) => Arc::new(RetainedSource::new(view, Arc::clone(retention))),
            })
        };

        self.view.get_or_try_init(take).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SeriesSource for RequestView {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error> {
        self.view().await?.select(request).await
    }

    async fn select_undecoded(&self, request: &SeriesRequest) -> Result<UndecodedStream, Error> {
        self.view().await?.select_undecoded(request).await
    }

    async fn presence(
        &self,
        request: &SeriesRequest,
        from_ms: i64,
    ) -> Result<Option<PresenceStream>, Error> {
        self.view().await?.presence(request, from_ms).await
    }

    async fn exemplars(&self, request: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        self.view().await?.exemplars(request).await
    }

    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, Error> {
        self.view().await?.metadata().await
    }

    async fn summaries(&self, request: &SeriesRequest) -> Result<Vec<SeriesSummary>, Error> {
        self.view().await?.summaries(request).await
    }

    async fn label_names(&self, request: &SeriesRequest) -> Result<BTreeSet<String>, Error> {
        self.view().await?.label_names(request).await
    }

    async fn label_values(
        &self,
        request: &SeriesRequest,
        name: &str,
    ) -> Result<BTreeSet<String>, Error> {
        self.view().await?.label_values(request, name).await
    }

    async fn ttl_max_ms(&self) -> Result<i64, Error> {
        self.view().await?.ttl_max_ms().await
    }

    fn rollups(&self) -> Option<&dyn RollupSource> {
        Some(self)
    }
}

#[async_trait]
impl RollupSource for RequestView {
    async fn coverage(&self) -> Result<Vec<Coverage>, Error> {
        match self.view().await?.rollups() {
            Some(rollups) => rollups.coverage().await,
            None => Ok(Vec::new()),
        }
    }

    async fn rows(
        &self,
        request: &SeriesRequest,
        wanted: WantedRollups,
    ) -> Result<RollupStream, Error> {
        match self.view().await?.rollups() {
            Some(rollups) => rollups.rows(request, wanted).await,
            None => Ok(Box::pin(stream::empty())),
        }
    }
}
