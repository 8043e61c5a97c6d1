//! Chunks as Prometheus writes them. A chunk holds at most [`SAMPLES_MAX`] samples of one series,
//! packed bit by bit.
//!
//! A streamed remote-read answer carries chunks; we store nothing in this form. The layouts follow
//! `tsdb/docs/format/chunks.md` of Prometheus, bit for bit.
//!
//! A [`ChunkBuilder`] (`builder`) cuts a series into chunks, and [`decode`] reads them back.
//! `floats` and `histograms` are the two kinds of chunks; `layout` is the head of a chunk of
//! histograms. Numbers are written by `delta` (integers), `xor` (floats) and `varbit` (few bits),
//! all with the readers and writers of `bits`.

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
