//! What the wire formats promise.

mod chunks;
mod frames;
mod recorded;
mod shared;
