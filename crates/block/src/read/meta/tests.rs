//! `meta` says what the footers say, and a `meta` that lies does no harm.

mod blocks;
mod claims;
mod footers;
mod lies;
mod mutations;
