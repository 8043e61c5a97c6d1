//! The bytes of `meta`: what a reader must know before it can read any other file. Beside the
//! footers of the files, it is all that our reader needs to know about them.
//!
//! - `numbers`: how lists of numbers and texts are written.
//! - `encode` and `decode`: a [`Meta`] to bytes and back.
//!
//! `docs/formats/block.md` has the bytes.

pub(crate) mod decode;
pub(crate) mod encode;
mod numbers;

use duramen_model::{Labels, NameBounds};

use crate::layout::extent::Extents;
use crate::layout::pages::Pages;
use crate::layout::schema::SeriesSchema;

const MAGIC: &[u8; 8] = b"DURAMEN1";
/// What the magic bytes of all versions begin with.
const MAGIC_START: &[u8; 7] = b"DURAMEN";
/// The largest body. No writer makes a block that needs more to be described.
const BODY_BYTES_MAX: usize = 64 << 20;
/// At most so many files, columns of a file, chunks and pages of a block are described. A reader
/// makes at most a few hundred bytes of each chunk, and some forty of each page.
const FILES_MAX: usize = 64;
const COLUMNS_MAX: usize = 4096;
const CHUNKS_MAX: usize = 1 << 18;
const PAGES_MAX: usize = 1 << 21;
/// No page and no dictionary is shorter than its header, which has so many bytes at least.
const PAGE_BYTES_MIN: u32 = 17;
const DICTIONARY_BYTES_MIN: u32 = 13;
/// Labels with more bytes in their encoded form are no fence.
pub(crate) const FENCE_BYTES_MAX: usize = 4096;

/// Sections of the body. The high bit says that a reader which does not know the section cannot
/// read the block.
const REQUIRED: u8 = 0x80;
const SECTION_FILES: u8 = REQUIRED | 1;
const SECTION_FENCES: u8 = 2;

/// What `meta` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) files: Vec<Described>,
    /// One for each row group of the series file. Empty if `meta` has none.
    pub(crate) fences: Vec<Fence>,
}

/// One file as `meta` describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) file: FileMeta,
    pub(crate) pages: Pages,
    /// What only the series file has.
    pub(crate) series: Option<SeriesMeta>,
}

/// What a reader of bytes needs to know about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileMeta {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) extents: Extents,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SeriesMeta {
    pub(crate) schema: SeriesSchema,
    /// For each row group bounds of its names. They may be cut short, but they still bound.
    pub(crate) names: Vec<NameBounds>,
}

/// Where a row group of the series file begins: a place at which a range of labels can be cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The number of its first series.
    pub sref: u64,
    /// The labels of its first series. `None` if they are very long.
    pub labels: Option<Labels>,
    /// The first row of its samples in the samples file.
    pub first_sample: u64,
}
