//! Reads a block: a request comes in, batches of series go out.
//!
//! - `options` says how a `block` is opened. `meta` is its first GET; the metadata of
//!   its Parquet files is `rebuilt` from it.
//! - `source` answers a request. `select` finds the series and cuts them into batches. `presence`
//!   tells when they are present.
//! - `batch` reads one batch. `plan` names the pages of a `parquet_file`; `fetch` gets and verifies
//!   their extents, or takes them from the `cache`. `gets` plans the GETs by the `cost` of the
//!   store. The `fetcher` sends each `get` once for all who wait for it. A slow one gets a `hedge`.
//! - `samples` decodes the extents of samples. `cut` says which rows lie in the requested time;
//!   values are decoded of these only. Of each column chunk, `pages` takes the pages out of
//!   the file: a `page_header`, and the bytes behind it, decompressed. A `column` goes through the
//!   pages by `runs` of rows with and without a value. Its `values` are decoded as `delta` says, or
//!   in a simpler encoding. `varint` has the integers of all these formats.
//! - `histograms`, `exemplars` and `metadata` decode the extents of the other files with the reader
//!   of the Parquet `library`. They read a `record_batch`. Before, the pages are held to what they
//!   claim (`claims`).
//! - `checks` verifies files on their way to the bucket. `folder` describes a block whose entry is
//!   not at hand.

pub(crate) mod batch;
pub(crate) mod block;
pub(crate) mod cache;
pub(crate) mod checks;
pub(crate) mod claims;
pub(crate) mod column;
pub(crate) mod cost;
pub(crate) mod cut;
pub(crate) mod delta;
pub(crate) mod exemplars;
pub(crate) mod fetch;
pub(crate) mod fetcher;
pub(crate) mod folder;
pub(crate) mod get;
pub(crate) mod gets;
pub(crate) mod hedge;
pub(crate) mod histograms;
pub(crate) mod library;
pub(crate) mod meta;
pub(crate) mod metadata;
pub(crate) mod options;
pub(crate) mod page_header;
pub(crate) mod pages;
pub(crate) mod parquet_file;
pub(crate) mod plan;
pub(crate) mod presence;
pub(crate) mod rebuilt;
pub(crate) mod record_batch;
pub(crate) mod rollups;
pub(crate) mod runs;
pub(crate) mod samples;
pub(crate) mod select;
pub(crate) mod source;
pub(crate) mod values;
pub(crate) mod varint;
