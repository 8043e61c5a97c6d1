//! The contract between storage and query. No DataFusion here: a source answers with Arrow batches
//! of series slices.
//!
//! A [`SeriesRequest`] comes in, and what it takes is counted in its [`Reads`]. A [`SeriesSource`]
//! answers with a stream of [`SeriesBatch`]es, or with less: exemplars, metadata, labels, summaries
//! ([`walk`] has these answers for sources without a faster way).
//!
//! - [`head`], [`view`]: what is written to while it is read; one view is one moment.
//! - [`merge`]: several parts as one source. Queries and compactions merge with it.
//! - [`memory`]: a source for tests.

mod answer;
pub mod batch;
pub mod error;
pub mod head;
pub mod memory;
pub mod merge;
pub mod reads;
pub mod request;
mod source;
pub mod view;
pub mod walk;

pub use answer::{SeriesExemplars, SeriesStream, SeriesSummary};
pub use batch::builder::SeriesBatchBuilder;
pub use batch::{Floats, HistogramRef, Histograms, Lives, SeriesBatch};
pub use error::Error;
pub use head::{FlushedPosition, HeadSnapshot, Heads, Part};
pub use memory::MemorySource;
pub use merge::MergeSource;
pub use reads::{Read, Reads};
pub use request::{Columns, SeriesRequest};
pub use source::SeriesSource;
pub use view::{Unchanging, Views};
