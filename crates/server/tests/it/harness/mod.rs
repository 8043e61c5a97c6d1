//! Real processes, and clients for them.

pub(crate) mod demo;
pub(crate) mod directory;
pub(crate) mod duramen;
pub(crate) mod http;
pub(crate) mod moto;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod read;
pub(crate) mod rounds;
pub(crate) mod samples;
pub(crate) mod wait;
pub(crate) mod wire;
