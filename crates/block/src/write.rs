//! Writes a block: series and metric families come in, files and their `BlockStats` go out.
//!
//! - `set` cuts a large output into sibling blocks. `block` writes one of them.
//! - `contents` is the input for one series, `options` the layout.
//! - The writer collects `series` and `metadata`, and has a `rows_file` for each of `samples`,
//!   `histograms`, `exemplars` and `rollups`.
//! - These four buffer a row group in columns (`levels`) and encode it column by column
//!   (`encode`). The row group goes to its file (`row_groups`) in the `folder`.
//! - At the end, `describe` reads the files back for `meta`.

pub(crate) mod block;
pub(crate) mod contents;
pub(crate) mod delta;
pub(crate) mod describe;
pub(crate) mod encode;
pub(crate) mod exemplars;
pub(crate) mod folder;
pub(crate) mod histograms;
pub(crate) mod levels;
pub(crate) mod metadata;
pub(crate) mod options;
pub(crate) mod page;
pub(crate) mod page_ends;
pub(crate) mod page_shape;
pub(crate) mod rollups;
pub(crate) mod row_groups;
pub(crate) mod rows_file;
pub(crate) mod runs;
pub(crate) mod samples;
pub(crate) mod series;
pub(crate) mod set;
