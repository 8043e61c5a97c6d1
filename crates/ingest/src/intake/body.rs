//! A decompressed body.

use super::buffers::Buffer;
use crate::permit::MemoryPermit;

/// The message of a request, with a permit for its memory and that of its columns.
#[derive(Debug)]
pub struct WriteBody {
    pub(crate) message: Message,
    pub(crate) permit: MemoryPermit,
}

/// The message of a request, in a buffer that may be longer.
#[derive(Debug)]
pub(crate) struct Message {
    pub(super) buffer: Buffer,
    pub(super) len: usize,
}

impl Message {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer.bytes()[..self.len]
    }
}
