//! Views: one moment of a source that changes while it is read.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use duramen_model::{AsOf, TenantId};

use crate::{Error, LeftOut, SeriesSource};

/// A source that is written to while it is read.
///
/// A caller with several requests takes one view for all of them. Then all answers belong to the
/// same moment.
#[async_trait]
pub trait Views: Send + Sync + fmt::Debug {
    /// The present data of these tenants; the view does not change as long as it exists. It has
    /// everything that each head had applied up to one position of its log, with each write
    /// completely or not at all, and one state of the manifest that fits to these positions. It
    /// includes everything that was acknowledged before the call. It has no data of other tenants.
    ///
    /// With `as_of`, it is a past state of the bucket in place of the present: only blocks that
    /// were committed then, without samples that were deleted since.
    ///
    /// With `left_out`, the view leaves out blocks that cannot be read, and notes them there.
    /// Without it, a read of such a block fails.
    async fn view(
        &self,
        tenants: &[TenantId],
        as_of: Option<&AsOf>,
        left_out: Option<&Arc<LeftOut>>,
    ) -> Result<Arc<dyn SeriesSource>, Error>;
}

/// A source that nobody writes to. Its view is the source itself.
#[derive(Clone, Debug)]
pub struct Unchanging(pub Arc<dyn SeriesSource>);

#[async_trait]
impl Views for Unchanging {
    async fn view(
        &self,
        _: &[TenantId],
        _: Option<&AsOf>,
        _: Option<&Arc<LeftOut>>,
    ) -> Result<Arc<dyn SeriesSource>, Error> {
        Ok(Arc::clone(&self.0))
    }
}
