//! Limits the memory of a decoded request.

use crate::Error;

/// The limit of a decoded request: its memory in bytes, without the body.
///
/// There is one limit for series, samples, histograms, exemplars, symbols and metadata together. It
/// follows from the size of the body, whatever the body contains.
#[derive(Clone, Copy, Debug)]
pub struct WriteLimits {
    pub memory_bytes_max: usize,
}

/// Decoded bytes for each byte of the body. The densest real sender, with series of one label and
/// one sample of value 0, needs 5.
const MEMORY_PER_BODY: usize = 8;
/// The minimum limit, so that a request of a few messages always passes.
const MEMORY_FLOOR: usize = 64 << 10;
/// The maximum limit. Columns double as they grow, so the process can use up to twice as much.
const MEMORY_CEILING: usize = 80 << 20;

impl WriteLimits {
    /// The limits for a body of `bytes` bytes.
    pub fn of_body(bytes: usize) -> Self {
        let memory_bytes_max = bytes
            .saturating_mul(MEMORY_PER_BODY)
            .saturating_add(MEMORY_FLOOR)
            .min(MEMORY_CEILING);

        Self { memory_bytes_max }
    }
}

/// The remaining bytes of the limit while a request is decoded.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
    max: usize,
}

impl Budget {
    pub(super) const fn new(limits: &WriteLimits) -> Self {
        Self {
            left: limits.memory_bytes_max,
            max: limits.memory_bytes_max,
        }
    }

    /// Takes `bytes` from the budget. Call it before the memory is allocated.
    #[inline]
    pub(super) const fn pay(&mut self, bytes: usize) -> Result<(), Error> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Error::TooMuchMemory { max: self.max }),
        }
    }
}
