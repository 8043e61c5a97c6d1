//! Integration tests: upstream's cases, where they are at hand, and properties of arbitrary texts.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod properties;
