//! The query API of Prometheus, and our additions to it.
//!
//! [`query`] evaluates queries, [`explain`] shows their operators, [`stats`] has their statistics,
//! and [`syntax`] prints them. [`metadata`] lists series, labels and families, [`exemplars`] lists
//! exemplars, [`cardinality`] counts series, and [`blocks`] lists blocks. [`empty_sets`] answers
//! for the parts of a Prometheus that a store does not have.

pub(crate) mod blocks;
pub(crate) mod cardinality;
pub(crate) mod empty_sets;
pub(crate) mod exemplars;
pub(crate) mod explain;
pub(crate) mod metadata;
pub(crate) mod query;
mod stats;
pub(crate) mod syntax;
