//! The querier: sources over blocks and heads, and the PromQL engine behind one door.

mod answered;
pub mod cardinality;
mod error;
mod metrics;
mod querier;
mod reach;
mod selector;
mod storage;
mod turns;
mod view;

pub use answered::Answered;
pub use error::Error;
pub use metrics::Metrics;
pub use querier::cardinality::Summarized;
pub use querier::remote_read::{Reader, Selection};
pub use querier::{Config, Parts, Querier, Query, QueryOptions};
pub use storage::Storage;
pub use turns::Turn;
