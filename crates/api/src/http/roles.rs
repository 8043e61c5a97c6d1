//! The roles of a process: [`state`] is what the handlers of each role see. [`ingester`], [`process`]
//! and [`querier`] list its routes with their handlers.

pub(crate) mod ingester;
pub(crate) mod process;
pub(crate) mod querier;
pub(crate) mod state;
