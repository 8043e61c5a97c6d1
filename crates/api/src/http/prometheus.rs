//! The query API of Prometheus, and what we add to it.
//!
//! [`query`] evaluates, [`explain`] tells how, [`stats`] what it took, [`syntax`] prints a query.
//! [`metadata`] lists series, labels and families, [`exemplars`] exemplars, [`cardinality`] counts
//! series, [`blocks`] lists blocks. [`empty_sets`] answers for what a store does not have.

pub(crate) mod blocks;
pub(crate) mod cardinality;
pub(crate) mod empty_sets;
pub(crate) mod exemplars;
pub(crate) mod explain;
pub(crate) mod metadata;
pub(crate) mod query;
mod stats;
pub(crate) mod syntax;
