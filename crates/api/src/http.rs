//! The HTTP edge: the only place that knows status codes.
//!
//! A connection comes in from a listener. Its requests pass, in this order,
//!
//! 1. [`edge`]: the connection itself, the path as people type it, counting and timing, CORS,
//!    compression, panics;
//! 2. [`routes`], made of the sections of [`roles`]: the handler of a path, and the state that it
//!    sees;
//! 3. [`request`]: the tenant, what the sender may see, forms and bodies, times and durations;
//! 4. the handlers: [`prometheus`], [`federate`] and [`remote_read`] use the querier, [`write`] and
//!    the flush in [`admin`] use the ingester, and the others in [`admin`] use the process;
//! 5. [`answer`]: JSON that is written piece by piece, and errors as statuses and texts.
//!
//! An answer goes out, or an error in the form that the route uses. [`docs`] describes the same
//! routes as OpenAPI and in `docs/reference/http.md`. [`config`] has the settings of the edge.

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
pub use edge::starting::Starting;
pub use edge::{EdgeState, operator_router, router};
pub use remote_read::RemoteReadMetrics;
pub use request::door::Door;
pub use request::intake::Intake;
pub use roles::state::ingester::IngesterState;
pub use roles::state::process::ProcessState;
pub use roles::state::querier::QuerierState;
