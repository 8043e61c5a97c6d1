//! The memory and the requests of a merge.
