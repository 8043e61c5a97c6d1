//! Samples as a Prometheus scrapes them.
//!
//! A [`sample`] comes in. [`format`] reads which form a scraper accepts, and [`escaping`] writes
//! names in the way that it asks for. [`text`] and [`protobuf`] write the two forms.

mod escaping;
mod format;
mod protobuf;
mod sample;
mod text;

pub(crate) use format::Format;
pub(crate) use protobuf::families;
pub(crate) use sample::{Exposed, ExposedValue};
pub(crate) use text::text;
