//! Reads a block: a request comes in, batches of series go out.
//!
//! - `options` says how a `block` is opened. `meta` is its first GET.
//! - `source` answers a request. `select` finds the series and cuts them into batches.
//! - `batch` reads one batch. `plan` names the pages of a `parquet_file`; `fetch` gets and verifies
//!   their extents, or takes them from the `cache`.
//! - `samples`, `histograms`, `exemplars` and `metadata` decode the extents. The last three read a
//!   `record_batch`.
//! - `checks` verifies files on their way to the bucket.

pub(crate) mod batch;
pub(crate) mod block;
pub(crate) mod cache;
pub(crate) mod checks;
#[cfg(test)]
pub(crate) mod delta;
pub(crate) mod exemplars;
pub(crate) mod fetch;
pub(crate) mod histograms;
pub(crate) mod meta;
pub(crate) mod metadata;
pub(crate) mod options;
pub(crate) mod parquet_file;
pub(crate) mod plan;
pub(crate) mod record_batch;
pub(crate) mod samples;
pub(crate) mod select;
pub(crate) mod source;
#[cfg(test)]
pub(crate) mod varint;
