//! The HTTP edge: the only place that knows status codes.
//!
//! A connection comes in from a listener. Its requests pass, in this order,
//!
//! 1. [`edge`]: the connection itself, the path as people type it, counting and timing, CORS,
//!    compression, panics;
//! 2. [`routes`], made of the sections of [`roles`]: which handler takes a path, and the state that
//!    it sees;
//! 3. [`request`]: the tenant, who may see what, forms and bodies, times and durations;
//! 4. the handlers: [`prometheus`], [`federate`] and [`remote_read`] ask the querier, [`write`] and
//!    the flush in [`admin`] the ingester, the others in [`admin`] the process;
//! 5. [`answer`]: JSON that is written piece by piece, and errors as statuses and texts.
//!
//! What goes out is an answer, or an error in the words of the route. [`docs`] describes the same
//! routes as OpenAPI and in `docs/reference/http.md`. [`config`] is what can be set.

mod admin;
mod answer;
mod config;
mod docs;
mod edge;
mod federate;
mod prometheus;
mod remote_read;
mod request;
mod roles;
mod routes;
mod write;

pub use admin::metrics_page::MetricsPage;
pub use config::{BodyBounds, ConnectionBounds, Tenancy};
pub use edge::metrics::HttpMetrics;
pub use edge::serve::{Serving, serve};
pub use edge::{EdgeState, operator_router, router};
pub use remote_read::RemoteReadMetrics;
pub use request::door::Door;
pub use request::intake::Intake;
pub use roles::state::ingester::IngesterState;
pub use roles::state::process::ProcessState;
pub use roles::state::querier::QuerierState;
