//! The querier: reads heads and blocks, and evaluates PromQL over them.
//!
//! In: a query, or selectors, of a tenant. Out: what they found, with its turn ([`Answered`]).
//!
//! - `turns`: which queries run now, and which wait.
//! - `budgets`: how much memory the queries of each tenant may hold together.
//! - `querier`: the entry. [`Querier`] has a file for each kind of request: PromQL, series and
//!   labels, exemplars, cardinality, remote read. Texts are parsed during the turn (`selector`),
//!   and the tenant's limits are checked (`reach`).
//! - `partial`: answers that leave out the blocks that cannot be read.
//! - `view`: makes all reads of one request see the same moment.
//! - `storage`: heads, staged and committed blocks of a tenant as one source. `optional_block`: a
//!   block that is left out if it cannot be read. `looks`: when somebody looks for what others
//!   have committed.
//! - `cardinality`: counts series and labels.
//! - `error`, `metrics`: why a request failed, and what is counted.

mod answered;
mod budgets;
pub mod cardinality;
mod error;
mod looks;
mod metrics;
mod optional_block;
mod partial;
mod querier;
mod reach;
mod rollups;
mod selector;
mod storage;
mod turns;
mod view;

pub use answered::Answered;
pub use error::Error;
pub use metrics::Metrics;
pub use partial::Partial;
pub use querier::cardinality::Summarized;
pub use querier::labels::{Listed, Listing};
pub use querier::remote_read::{Reader, Selection};
pub use querier::{Config, Parts, Querier, Query, QueryOptions, ResolutionMax};
pub use storage::Storage;
pub use turns::Turn;
pub use view::RequestView;
