//! The query API of Prometheus, and our additions to it.
//!
//! [`query`] evaluates queries, [`stats`] has their statistics, [`explain`] shows their operators,
//! and [`syntax`] prints queries and their trees. [`metadata`] lists series, labels and families, [`exemplars`] lists
//! exemplars, [`cardinality`] counts series, and [`blocks`] lists blocks. [`empty_sets`] answers
//! for the parts of a Prometheus that a store does not have, such as rules and targets.

pub(crate) mod blocks;
pub(crate) mod cardinality;
pub(crate) mod empty_sets;
pub(crate) mod exemplars;
pub(crate) mod explain;
pub(crate) mod metadata;
pub(crate) mod query;
mod stats;
pub(crate) mod syntax;
