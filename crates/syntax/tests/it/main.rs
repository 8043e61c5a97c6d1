//! Integration tests: upstream's cases, if they are present, and properties of arbitrary texts.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod properties;
