//! What the bytes of a block mean: shared by its writer and its reader.
//!
//! `file_names`: which files a block has. `schema`: the columns of each. `decimal`: how a float is
//! an integer. `reset_hint`: the names of reset hints. `rows`: where the rows of one series stand.
//! `extent`: the pieces of a file that are read and verified as a whole. `meta`: the file that says
//! where everything is.

pub(crate) mod decimal;
pub(crate) mod extent;
pub(crate) mod file_names;
pub(crate) mod meta;
pub(crate) mod reset_hint;
pub(crate) mod rows;
pub(crate) mod schema;
