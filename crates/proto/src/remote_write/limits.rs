//! What decoding a request may cost.

use crate::Error;

/// The bound of one request's decoded form, in memory beside the body.
///
/// One bound for series, samples, histograms, exemplars, symbols and metadata: whatever a body is
/// full of, it makes no more of it than its size pays for.
#[derive(Clone, Copy, Debug)]
pub struct WriteLimits {
    pub memory_bytes_max: usize,
}

/// Bytes of decoded form for a byte of body. The densest honest sender, with series of one label
/// and one sample of value 0, takes 5.
const MEMORY_PER_BODY: usize = 8;
/// So that a request of a few messages passes whatever they are.
const MEMORY_FLOOR: usize = 64 << 10;
/// Columns double as they grow, so the process sees up to twice as much.
const MEMORY_CEILING: usize = 80 << 20;

impl WriteLimits {
    /// The limits of a body of so many bytes.
    pub fn of_body(bytes: usize) -> Self {
        let memory_bytes_max = bytes
            .saturating_mul(MEMORY_PER_BODY)
            .saturating_add(MEMORY_FLOOR)
            .min(MEMORY_CEILING);

        Self { memory_bytes_max }
    }
}

/// What is left of the bound while a request is decoded.
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

    /// Pays before the memory is taken.
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
