//! What the bytes of a block mean. The writer and the reader share these files.
//!
//! - `file_names`: which files a block has.
//! - `schema`: the columns of each file.
//! - `decimal`: how a float is stored as an integer.
//! - `reset_hint`: the names of reset hints.
//! - `rows`: where the rows of one series are.
//! - `extent`: the pieces of a file that are read and verified as a whole.
//! - `pages`: where the pages of a file are.
//! - `meta`: the file that says where everything is.

pub(crate) mod decimal;
pub(crate) mod extent;
pub(crate) mod file_names;
pub(crate) mod meta;
pub(crate) mod pages;
pub(crate) mod reset_hint;
pub(crate) mod rows;
pub(crate) mod schema;
