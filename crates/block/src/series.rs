//! Finds the series of a block that pass a request, in its series file or in an index in memory.
//!
//! - `file` is the series file of an open block. Its `columns` find series (`found`): `prune` rules
//!   row groups out, matchers test `decoded` columns.
//! - `index` is the whole file decoded, with the `set` of series of each label value.
//! - `pool` keeps the indexes of all blocks. `warmth` decides when an index is worth building.

pub(crate) mod columns;
pub(crate) mod decoded;
pub(crate) mod file;
pub(crate) mod found;
pub(crate) mod index;
pub(crate) mod matched;
pub(crate) mod pool;
pub(crate) mod prune;
pub(crate) mod set;
pub(crate) mod warmth;
