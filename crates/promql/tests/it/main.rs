//! The engine through its public face.

mod compliance;
mod promqltest;
mod shared;
