//! Which series of a block pass a request: from its series file, or from an index in memory.
//!
//! `file` is the series file of an open block. Its `columns` find series (`found`): `prune` rules
//! row groups out, matchers judge `decoded` columns. `index` is the whole file decoded, with a
//! `set` of series for each matcher; the `pool` keeps the indexes of all blocks, and `warmth` tells
//! when one is worth making.

pub(crate) mod columns;
pub(crate) mod decoded;
pub(crate) mod file;
pub(crate) mod found;
pub(crate) mod index;
pub(crate) mod pool;
pub(crate) mod prune;
pub(crate) mod set;
pub(crate) mod warmth;
