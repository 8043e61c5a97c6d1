//! Settings as people write them: YAML whose faults name key and line, durations such as `1h30m`,
//! sizes such as `64MiB`, secrets.

pub mod duration;
mod fault;
mod file;
mod secret;
pub mod size;
mod yaml;

pub use fault::{Fault, Faults};
pub use file::{FileError, text_of};
pub use secret::Secret;
pub use yaml::{FILE_BYTES_MAX, leaves, overlay, read};
