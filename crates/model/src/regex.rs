//! Regular expressions as Prometheus has them: Go's syntax and meaning, anchored at both ends, `.`
//! matches a line feed.
//!
//! A pattern is `parse`d to a `tree` within `limits`. Its `shape` tells whether texts or globs do
//! instead of an `automaton`; [`GoRegex`] is all of that. [`Regexes`] are those of one request, and
//! [`RegexCache`] keeps automata from one request to the next.

mod automaton;
mod cache;
mod class;
mod error;
mod expand;
mod glob;
mod go_regex;
mod group;
mod limits;
mod named;
mod parse;
mod regexes;
mod runes;
mod shape;
#[cfg(test)]
mod tests;
mod tree;

pub use cache::RegexCache;
pub use error::{Error, Fault};
pub use go_regex::GoRegex;
pub use regexes::Regexes;
