//! The engine through its public face.

mod compliance;
mod engine;
mod plans;
mod promqltest;
mod shared;
