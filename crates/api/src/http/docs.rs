//! What the documents say of the API: an [`endpoint`] of the table with its parameters from
//! [`parameter_docs`], as OpenAPI in [`openapi`] and as the page that the test `reference` holds.

pub(crate) mod endpoint;
pub(crate) mod openapi;
pub(crate) mod parameter_docs;
#[cfg(test)]
mod reference;
