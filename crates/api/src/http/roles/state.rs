//! The state that the requests of each role see. No role sees the state of another.

pub(crate) mod ingester;
pub(crate) mod process;
pub(crate) mod querier;
