//! For tests only: an in-process S3 with faults, an un-synced disk, series generators.

pub mod s3;
