//! A cache of verified bytes on the local disk, which survives a restart.
//!
//! A reader names parts of files by [`Key`]s and says which checksum it expects. What comes out was
//! verified, or it is nothing.
//!
//! The files, in the order from a reader to the disk:
//!
//! - `key.rs`: names. `options.rs`: bounds.
//! - `disk_cache.rs`: the [`DiskCache`] that readers ask. It verifies, writes behind the answers,
//!   and leaves a failing disk alone (`health.rs`). `counts.rs`, `metrics.rs`: what it counts.
//! - `entry.rs`: the bytes of an entry, with checksums.
//! - `folder.rs`: the folder on the disk: its lock, and the form of its contents.
//! - `engine.rs`: the trait [`Engine`]. It keeps entries and decides which ones go. [`Files`] has a
//!   plain file for each entry, [`Foyer`] large files with many entries.

mod counts;
mod disk_cache;
mod engine;
mod entry;
mod files;
mod folder;
mod foyer;
mod health;
mod key;
pub mod metrics;
mod options;

pub use counts::Counts;
pub use disk_cache::{DiskCache, EngineKind, Host, Wanted};
pub use engine::{ENTRY_BYTES_MAX, Engine, Found, Held};
pub use entry::Expected;
pub use files::Files;
pub use folder::FolderError;
pub use foyer::Foyer;
pub use key::{Digest, Key};
pub use options::Options;
