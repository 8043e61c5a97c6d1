//! The contract between storage and query. It does not depend on DataFusion: a source answers with
//! Arrow batches of series.
//!
//! A [`SeriesRequest`] comes in; its [`Reads`] count the work, their [`GetLimit`] bounds the
//! requests to a store, and their budget the memory. A [`SeriesSource`] answers with a
//! stream of [`SeriesBatch`]es, or with exemplars, metadata, labels or summaries. [`walk`] computes
//! labels and summaries for sources without a faster way.
//!
//! - [`head`], [`view`]: sources that are written to while they are read. A view shows one moment.
//! - [`undecoded`]: batches that their receiver decodes.
//! - [`merge`]: combines several parts to one source, for queries and for compactions.
//! - [`texts`]: label names and values, collected within the budget of a query.
//! - [`presence`]: whether series are present, told without their samples.
//! - [`masked`], [`retained`]: a source without what was deleted, or without what is too old. `cut`:
//!   which samples these are.
//! - [`rollup`]: what buckets of time tell of samples, in place of them.
//! - [`left_out`]: which parts a partial answer leaves out.
//! - [`memory`]: a source for tests.

mod answer;
pub mod batch;
mod cut;
pub mod error;
pub mod get_limit;
pub mod head;
#[cfg(test)]
mod hiding;
pub mod left_out;
pub mod masked;
pub mod memory;
pub mod merge;
pub mod presence;
pub mod reads;
pub mod request;
pub mod retained;
pub mod rollup;
mod source;
pub mod texts;
pub mod undecoded;
pub mod view;
pub mod walk;

pub use answer::{SeriesExemplars, SeriesStream, SeriesSummary};
pub use batch::builder::SeriesBatchBuilder;
pub use batch::{Floats, HistogramRef, Histograms, Lives, SeriesBatch};
pub use error::Error;
pub use get_limit::{GetLimit, GetPermit};
pub use head::{FlushedPosition, HeadSnapshot, Heads, Part};
pub use left_out::LeftOut;
pub use masked::MaskedSource;
pub use memory::MemorySource;
pub use merge::MergeSource;
pub use presence::{
    LaterLabels, Presence, PresenceBatch, PresenceBatchBuilder, PresenceStream, Trace, Tracer,
};
pub use reads::{Read, Reads};
pub use request::{Columns, SeriesRequest};
pub use retained::{RetainedSource, Retention};
pub use rollup::{Coverage, RollupSource, RollupStream, WantedRollups};
pub use source::SeriesSource;
pub use texts::Texts;
pub use undecoded::{SeriesDecoder, UndecodedBatch, UndecodedSeries, UndecodedStream};
pub use view::{Unchanging, Views};
