//! The roles of a process, each with the state that its requests see and with its routes. No role
//! sees the state of another.

pub(crate) mod ingester;
pub(crate) mod process;
pub(crate) mod querier;
