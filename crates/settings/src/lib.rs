//! Settings as people write them: text in, checked values or faults with key and line out.
//!
//! `file` reads the text of a file. `yaml` makes values of it and lays one tree over another
//! ([`read`], [`overlay`], [`leaves`]). A [`Fault`] names the key, the line and what is wrong;
//! [`Faults`] are all of one file. Values that people write in their own way: [`duration`]
//! (`1h30m`), [`size`] (`64MiB`), and a [`Secret`], which is never shown.

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
