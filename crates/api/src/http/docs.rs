//! The documentation of the HTTP API. [`endpoint`] describes one path, and [`parameter_docs`]
//! describes its parameters. [`openapi`] makes an OpenAPI document of the table of routes. The test
//! `reference` checks that `docs/reference/http.md` agrees with the table.

pub(crate) mod endpoint;
pub(crate) mod openapi;
pub(crate) mod parameter_docs;
#[cfg(test)]
mod reference;
