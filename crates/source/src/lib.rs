//! The contract between storage and query. No DataFusion here: a source answers with Arrow batches of series slices.

pub mod batch;
pub mod error;
pub mod head;
pub mod memory;
pub mod request;

use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;
use futures::Stream;

pub use batch::{SeriesBatch, SeriesBatchBuilder};
pub use error::Error;
pub use head::{FlushedPosition, HeadSnapshot, Heads, Part};
pub use memory::MemorySource;
pub use request::{Columns, SeriesRequest};

/// Series in the order of [`duramen_model::Labels::cmp_in_block`], strictly ascending over the whole stream: no label set twice.
/// A batch may be empty.
pub type SeriesStream = Pin<Box<dyn Stream<Item = Result<SeriesBatch, Error>> + Send>>;

/// Something that holds series: the blocks of a bucket, a head, a merge of others, or memory for tests.
///
/// An answer is complete or an error: a source that cannot read a part of what it holds fails the request and names the part.
#[async_trait]
pub trait SeriesSource: Send + Sync + fmt::Debug {
    /// The series that pass all matchers and have at least one sample (a stale marker is one) in the range, with those samples.
    ///
    /// A source may add samples outside of the range when leaving them out would cost it work; the reader cuts. A series all
    /// of whose samples lie outside may therefore appear as well.
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error>;
}
