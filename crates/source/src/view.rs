//! One moment of a source whose contents change while it is asked.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use duramen_model::TenantId;

use crate::{Error, SeriesSource};

/// Something that is written to while it is read.
///
/// Whoever asks more than one question takes a view once and puts all of them to it: then their
/// answers are of one moment.
#[async_trait]
pub trait Views: Send + Sync + fmt::Debug {
    /// What the tenants have now, for as long as it is held: of each head what was applied up to
    /// one position of its log, a write whole or not at all, and one state of the manifest that
    /// goes with it. Everything that was acknowledged before the call is in it. Of other tenants it
    /// knows nothing.
    async fn view(&self, tenants: &[TenantId]) -> Result<Arc<dyn SeriesSource>, Error>;
}

/// A source that nobody writes to: each view of it is itself.
#[derive(Clone, Debug)]
pub struct Unchanging(pub Arc<dyn SeriesSource>);

#[async_trait]
impl Views for Unchanging {
    async fn view(&self, _: &[TenantId]) -> Result<Arc<dyn SeriesSource>, Error> {
        Ok(Arc::clone(&self.0))
    }
}
