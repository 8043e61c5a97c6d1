//! The querier: reads heads and blocks, and evaluates PromQL over them.
//!
//! In: a query, or selectors, of a tenant. Out: what they found, with the turn that it was found in
//! ([`Answered`]).
//!
//! - `turns`: who may run now, and who waits.
//! - `querier`: the entry. [`Querier`] has a file for each kind of request: PromQL, series and
//!   labels, exemplars, cardinality, remote read. Each parses its texts during its turn
//!   (`selector`) and is held against the tenant's limits (`reach`).
//! - `view`: all reads of one request are of one moment.
//! - `storage`: heads, staged and committed blocks of a tenant as one source.
//! - `cardinality`: counts of series and labels.
//! - `error`, `metrics`: why a request failed, and what is counted.

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
