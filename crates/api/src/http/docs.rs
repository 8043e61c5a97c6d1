//! The documents of the API. An [`endpoint`] of the table and its parameters in [`parameter_docs`]
//! become OpenAPI in [`openapi`], and the page that the test `reference` compares.

pub(crate) mod endpoint;
pub(crate) mod openapi;
pub(crate) mod parameter_docs;
#[cfg(test)]
mod reference;
