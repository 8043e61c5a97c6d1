//! For tests only: an in-process S3 with faults, an un-synced disk, series generators.

pub mod disk;
pub mod s3;

pub use disk::{DiskOp, SimDisk};
