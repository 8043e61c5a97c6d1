//! An ingester and the storage that queries read, together.

mod no_gap;
mod power_loss;
mod system;
mod turnstile;
