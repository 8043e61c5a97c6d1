//! Buffers for decompressed bodies. A body takes half a megabyte, and memory that the system gives
//! anew for each of them costs more than to decode it.

use std::sync::Arc;

use duramen_qos::{Account, Share, Use};
use parking_lot::Mutex;

/// Buffers that are kept. More requests than this are seldom decoded at once.
const KEPT_MAX: usize = 4;

/// A shorter buffer costs nothing to speak of, and a longer one is not kept.
const KEPT_BYTES_MIN: usize = 16 << 10;
const KEPT_BYTES_MAX: usize = 1 << 20;

/// The buffers that no request uses. Their memory is in the account of the process.
#[derive(Debug)]
pub(super) struct Buffers(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    buffers: Vec<Vec<u8>>,
    share: Share,
}

/// A buffer that goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    home: Arc<Buffers>,
}

impl Buffers {
    pub(super) fn new(account: &Arc<Account>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Kept {
            buffers: Vec::new(),
            share: account.share(Use::Body),
        })))
    }

    /// Returns a kept buffer, or an empty one. It has bytes of earlier bodies.
    pub(super) fn take(self: &Arc<Self>) -> Buffer {
        let mut kept = self.0.lock();
        let bytes = kept.buffers.pop().unwrap_or_default();
        kept.share.shrink(bytes.capacity());

        Buffer {
            bytes,
            home: Arc::clone(self),
        }
    }

    fn put(&self, bytes: Vec<u8>) {
        let capacity = bytes.capacity();
        let mut kept = self.0.lock();

        if !(KEPT_BYTES_MIN..=KEPT_BYTES_MAX).contains(&capacity) || kept.buffers.len() >= KEPT_MAX
        {
            return;
        }

        // Without room in the account the buffer is not kept.
        if kept.share.grow(capacity).is_ok() {
            kept.buffers.push(bytes);
        }
    }
}

impl Buffer {
    pub(super) const fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.home.put(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_and_counted_while_it_waits() {
        let account = Account::new(1 << 30);
        let buffers = Buffers::new(&account);
        let mut first = buffers.take();
        first.bytes_mut().resize(20_000, 0);

        let place = first.bytes().as_ptr();
        assert_eq!(account.used_by(Use::Body), 0);

        drop(first);
        assert_eq!(account.used_by(Use::Body), 20_000);

        let again = buffers.take();
        assert_eq!(
            (again.bytes().as_ptr(), account.used_by(Use::Body)),
            (place, 0)
        );
    }

    #[test]
    fn few_buffers_are_kept_and_no_short_or_large_ones() {
        let account = Account::new(1 << 30);
        let buffers = Buffers::new(&account);

        for length in [KEPT_BYTES_MIN - 1, KEPT_BYTES_MAX + 1] {
            let mut other = buffers.take();
            other.bytes_mut().resize(length, 0);
            drop(other);
            assert_eq!(account.used_by(Use::Body), 0);
        }

        let many: Vec<Buffer> = (0..KEPT_MAX + 3)
            .map(|_| {
                let mut buffer = buffers.take();
                buffer.bytes_mut().resize(KEPT_BYTES_MIN, 0);
                buffer
            })
            .collect();
        drop(many);
        assert_eq!(account.used_by(Use::Body), KEPT_MAX * KEPT_BYTES_MIN);
    }

    #[test]
    fn nothing_is_kept_that_has_no_room() {
        let account = Account::new(1000);
        let buffers = Buffers::new(&account);

        let mut buffer = buffers.take();
        buffer.bytes_mut().resize(20_000, 0);
        drop(buffer);

        assert_eq!((account.used(), buffers.take().bytes().len()), (0, 0));
    }
}
