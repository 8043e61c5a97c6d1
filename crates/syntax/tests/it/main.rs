//! Integration tests: upstream's cases, where they are at hand, and properties of arbitrary texts.

mod conformance;
mod limits;
mod properties;
mod shared;
