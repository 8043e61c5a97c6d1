//! The bucket over every store that it can have.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod chain;
mod conformance;
mod crash;
mod data_dir;
mod deployment;
mod faults;
mod gated;
mod local;
mod probe;
mod stores;
mod tenants;
