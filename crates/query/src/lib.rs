//! The querier: sources over blocks and heads, their merge, and the PromQL engine behind one door.

mod answered;
mod blocks;
pub mod cardinality;
mod error;
pub mod merge;
mod metrics;
mod querier;
mod reach;
mod selector;
mod storage;
mod turns;
mod view;

pub use answered::Answered;
pub use blocks::Blocks;
pub use error::Error;
pub use merge::MergeSource;
pub use metrics::Metrics;
pub use querier::cardinality::Summarized;
pub use querier::remote_read::{Reader, Selection};
pub use querier::{Config, Querier, Query, QueryOptions};
pub use storage::Storage;
pub use turns::Turn;
