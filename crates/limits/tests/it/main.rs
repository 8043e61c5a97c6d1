//! Tests of the documentation of the limits.

mod reference;
