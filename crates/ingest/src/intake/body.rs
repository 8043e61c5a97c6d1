//! A decompressed body.

use crate::permit::MemoryPermit;

/// The message of a request, with a permit for its memory and that of its columns.
#[derive(Debug)]
pub struct WriteBody {
    pub(crate) bytes: Vec<u8>,
    pub(crate) permit: MemoryPermit,
}
