//! Tests of manifests over every kind of store.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod as_of;
mod commits;
mod crash;
mod deletions;
mod golden;
mod hostile;
mod properties;
mod races;
mod requests;
mod siblings;
mod values;
