//! Compaction: small blocks become large ones, and what nothing names any more goes.
//!
//! The live blocks of a tenant's manifest come in. The files, in the order of the pipeline:
//!
//! - [`retention`]: which blocks are too old. Pure. They are removed before anything is merged.
//! - [`policy`]: when blocks are merged.
//! - [`window`]: the windows of time that no merge crosses. Pure.
//! - `unit`: what a merge takes as a whole: a block, or all siblings of one output. Pure.
//! - [`mod@plan`]: which blocks are to become one. Pure.
//! - [`job`]: one merge that is to be done.
//! - [`execute`]: does a job: merge, upload, one edit.
//! - [`compactor`]: plans and does the jobs of a tenant, until there is none. [`summary`]: what
//!   came of them.
//!
//! - [`rounds`]: all tenants of a store, again and again. `replaced`: blocks that merges have
//!   replaced, which stay in the bucket until no query can read them. [`metrics`]: what is counted.

pub mod compactor;
pub mod execute;
pub mod job;
pub mod metrics;
pub mod plan;
pub mod policy;
mod replaced;
pub mod retention;
pub mod rounds;
pub mod summary;
mod unit;
pub mod window;

pub use compactor::{Compactor, Event};
pub use execute::Executor;
pub use job::{Digest, Job, Level};
pub use metrics::Metrics;
pub use plan::plan;
pub use policy::Policy;
pub use rounds::{RoundSettings, RoundState, Rounds};
pub use summary::{Failure, Summary};
pub use window::{Span, Window};
