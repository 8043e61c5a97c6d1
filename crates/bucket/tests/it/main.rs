//! Tests of the bucket over every kind of store.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a helper that fails fails its test, and a skip is said aloud"
)]

mod chain;
mod claims;
mod conformance;
mod crash;
mod data_dir;
mod deployment;
mod faults;
mod gated;
mod local;
mod opening;
mod probe;
mod real_s3;
mod stores;
mod tenants;
