//! Integration tests of the model.

mod goregex;
