//! Chunks as Prometheus writes them: the samples of one series, at most [`SAMPLES_MAX`], packed bit
//! by bit.
//!
//! A streamed remote-read answer carries them; nothing of ours is stored in this form. The layouts
//! are those of Prometheus' `tsdb/docs/format/chunks.md`, bit for bit.

#![deny(clippy::indexing_slicing)]

mod bits;
mod builder;
mod decode;
mod delta;
mod encoding;
mod floats;
mod histograms;
mod layout;
mod varbit;
mod xor;

pub use builder::ChunkBuilder;
pub use decode::{Decoded, decode};
pub use encoding::{Chunk, Encoding, Misfit, SAMPLES_MAX};
