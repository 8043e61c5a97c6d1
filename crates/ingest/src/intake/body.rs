//! A body that was decompressed.

use crate::permit::MemoryPermit;

/// The message of a request, with the memory that it and its columns take.
#[derive(Debug)]
pub struct WriteBody {
    pub(crate) bytes: Vec<u8>,
    pub(crate) permit: MemoryPermit,
}
