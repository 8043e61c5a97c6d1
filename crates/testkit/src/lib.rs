//! For tests only: an in-process S3 with faults, an un-synced disk, the messages of Prometheus'
//! protocols; with the feature `promqltest` a runner of PromQL test scripts, and a naive evaluator
//! of PromQL.

pub mod disk;
pub mod prompb;
#[cfg(feature = "promqltest")]
pub mod promqltest;
#[cfg(feature = "promqltest")]
pub mod random;
#[cfg(feature = "promqltest")]
pub mod reference;
pub mod s3;
pub mod shared;

pub use disk::{DiskOp, Fault, SimDisk};
