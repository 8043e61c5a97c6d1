//! For tests only: replacements for the outside world, and tests of the workspace as a whole.
//!
//! - [`s3`]: an S3 server within the process, with faults, a log of its requests and a clock of its
//!   own. The binary `duramen-testkit-s3` runs it as a process.
//! - [`disk`]: a [`SimDisk`], which can lose data that was not synced.
//! - [`store`]: an object store within the process whose GETs a test controls and counts.
//! - [`prompb`]: the messages of Prometheus' protocols, as senders encode them.
//! - [`allocator`]: an allocator that counts.
//! - [`shared`]: the folder of conformance data that is not part of the project.
//!
//! Its tests compare the dependencies between crates with ARCHITECTURE.md (`floors`), check that
//! the files of a crate do not refer to each other in circles (`circles`), and check the links and
//! names in documents (`documents`, `commands`). The runner of PromQL scripts is the crate
//! `promqltest`.

pub mod allocator;
pub mod disk;
pub mod prompb;
pub mod s3;
pub mod shared;
pub mod store;

pub use disk::{DiskOp, Fault, SimDisk};
