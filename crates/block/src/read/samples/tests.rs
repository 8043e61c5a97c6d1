//! The reader of samples against the reader of the library, on row groups that are made by hand.

mod agreement;
mod hostile;
mod library;
mod written;
