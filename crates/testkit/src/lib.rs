//! For tests only: what stands in for the world outside, and what holds for the workspace as a
//! whole.
//!
//! - [`s3`]: an S3 server in the process, with faults, a log of its requests and a clock of its
//!   own; the binary `duramen-testkit-s3` is the same as a process.
//! - [`disk`]: a [`SimDisk`] that forgets what was not synced.
//! - [`prompb`]: the messages of Prometheus' protocols, as senders make them.
//! - [`shared`]: where conformance data lies that is not part of the project.
//!
//! Its tests hold the crates to ARCHITECTURE.md (`floors`), the files of each crate to one
//! direction (`circles`), and the documents to their links (`documents`). The runner of PromQL
//! scripts is the crate `promqltest`.

pub mod disk;
pub mod prompb;
pub mod s3;
pub mod shared;

pub use disk::{DiskOp, Fault, SimDisk};
