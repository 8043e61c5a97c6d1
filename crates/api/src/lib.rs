//! The edge of the process: what clients say to it and are told.
//!
//! Connections and their requests come in, handlers of the roles are called, and answers go out.
//! Whoever puts a process together makes the state of each role that it has, asks it for its routes,
//! and serves them:
//!
//! - [`http::QuerierState`]: queries, metadata, remote read, federation.
//! - [`http::IngesterState`]: remote write, and the flush of heads.
//! - [`http::ProcessState`]: settings, metrics, health.
//! - [`http::router`]: the routes of some roles behind what all requests pass.
//! - [`http::serve`]: the connections of a listener.

pub mod http;
