//! Parses the settings that people write. Text comes in; checked values go out, or faults with key
//! and line.
//!
//! `file` reads the text of a file. `yaml` parses it ([`read`]) and combines trees of values
//! ([`overlay`], [`leaves`]). A [`Fault`] names the key, the line and the reason; [`Faults`] are
//! all faults of one file. Some values have a form of their own: [`duration`] (`1h30m`), [`size`]
//! (`64MiB`), and [`Secret`], which is never shown.

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
