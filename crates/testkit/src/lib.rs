//! For tests only: an in-process S3 with faults, an un-synced disk, the messages of Prometheus' protocols.

pub mod disk;
pub mod prompb;
pub mod s3;

pub use disk::{DiskOp, SimDisk};
