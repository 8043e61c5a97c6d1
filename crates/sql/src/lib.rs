//! SQL over any source of series. So far the crate only names what it stands on.
