//! What the wire formats promise.

mod chunks;
