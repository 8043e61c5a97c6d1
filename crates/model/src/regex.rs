//! Regular expressions as in Prometheus: Go's syntax and meaning, anchored at both ends, and `.`
//! matches a line feed.
//!
//! `parse` turns a pattern into a `tree`, within `limits`. `shape` finds out whether a list of
//! texts or globs can replace the `automaton`. [`GoRegex`] combines these steps. [`Regexes`] holds
//! the regexes of one request, and [`RegexCache`] keeps automata between requests.

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
