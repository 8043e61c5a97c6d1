//! The edge of the process: its HTTP API.
//!
//! Connections and their requests come in, the handlers of the roles are called, and answers go
//! out. Whoever puts a process together makes the state of each of its roles, takes the routes of
//! each state, and serves them:
//!
//! - [`http::QuerierState`]: queries, metadata, remote read, federation.
//! - [`http::IngesterState`]: remote write, and the flush of heads.
//! - [`http::ProcessState`]: settings, metrics, health.
//! - [`http::router`]: the routes of some roles, behind the layers that all requests pass.
//! - [`http::serve`]: the connections of a listener.

pub mod http;
