//! Compaction: small blocks become large ones, and what nothing names any more goes.
//!
//! The live blocks of a tenant's manifest come in. The files, in the order of the pipeline:
//!
//! - [`policy`]: when blocks are merged.
//! - [`window`]: the windows of time that no merge crosses. Pure.
//! - `unit`: what a merge takes as a whole: a block, or all siblings of one output. Pure.
//! - [`plan`]: which blocks are to become one. Pure.
//! - [`job`]: one merge that is to be done.

pub mod job;
pub mod plan;
pub mod policy;
mod unit;
pub mod window;

pub use job::{Digest, Job, Level};
pub use plan::plan;
pub use policy::Policy;
pub use window::{Span, Window};
