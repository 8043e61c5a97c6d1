//! Compaction: small blocks become large ones, and what nothing names any more goes.
//!
//! The live blocks of a tenant's manifest come in. The files, in the order of the pipeline:
//!
//! - [`retention`]: which blocks are too old. Pure. They are removed before anything is merged.
//! - [`policy`]: when blocks are merged.
//! - [`window`]: the windows of time that no merge crosses. Pure.
//! - `unit`: what a merge takes as a whole: a block, or all siblings of one output. Pure.
//! - [`mod@plan`]: which blocks are to become one. Pure.
//! - `clean`: which blocks are written again without deleted samples. Pure.
//! - `rollups`: which rollups are made and merged. Pure.
//! - [`job`]: one merge that is to be done.
//! - [`execute`]: does a job: merge, upload, one edit.
//! - [`claims`]: which of several workers does a job. [`worker`]: the name of a process, and the
//!   time of the store.
//! - [`compactor`]: plans and does the jobs of a tenant, until there is none. [`summary`]: what
//!   came of them.
//!
//! - [`rounds`]: all tenants of a store, again and again. [`metrics`]: what is counted.
//!
//! What nothing needs any more goes:
//!
//! - [`replaced`]: blocks that merges have replaced while this process looked on. Pure.
//! - `litter`: what lies in the folder of a tenant. Pure. `held`: which blocks must stay. Pure.
//! - [`named`]: which blocks named snapshots need.
//! - [`collector`]: deletes the objects of a tenant that nothing needs. [`cycles`]: those of all
//!   tenants of a store, again and again.
//! - [`inventory`]: compares what lies in the folder of a tenant with what its manifest names.

pub mod claims;
mod clean;
mod clones;
pub mod collector;
pub mod compactor;
pub mod cycles;
pub mod execute;
mod held;
pub mod inventory;
pub mod job;
mod litter;
pub mod metrics;
pub mod named;
pub mod plan;
pub mod policy;
pub mod replaced;
pub mod retention;
mod rollups;
pub mod rounds;
pub mod summary;
mod unit;
pub mod window;
pub mod worker;

pub use claims::Claims;
pub use collector::{Collected, Collector, CollectorSettings};
pub use compactor::{ClaimWhen, Compactor, Event};
pub use cycles::Cycles;
pub use execute::Executor;
pub use inventory::{Inventories, Inventory};
pub use job::{Digest, Job, Level, Rolling};
pub use metrics::Metrics;
pub use named::Named;
pub use plan::plan;
pub use policy::Policy;
pub use replaced::Replaced;
pub use rounds::{RoundSettings, RoundState, Rounds};
pub use summary::{Failure, Summary};
pub use window::{Span, Window};
pub use worker::{StoreTime, Worker};
