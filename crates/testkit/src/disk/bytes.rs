//! The contents of one file: the bytes that a reader sees, and those that are durable.

/// A change of a file that is only in the page cache.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Append(Vec<u8>),
    Truncate(usize),
}

impl Change {
    pub(super) fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Append(bytes) => to.extend_from_slice(bytes),
            Self::Truncate(length) => to.truncate(*length),
        }
    }
}

/// The bytes of a file. `durable` with all `pending` changes always has the length of `live`.
#[derive(Clone, Debug, Default)]
pub(super) struct Bytes {
    pub(super) live: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<Change>,
}

impl Bytes {
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.live.extend_from_slice(bytes);
        self.pending.push(Change::Append(bytes.to_vec()));
    }

    pub(super) fn truncate(&mut self, length: usize) {
        self.live.truncate(length);
        self.pending.push(Change::Truncate(length));
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// Fails a sync: the pages count as clean from now on, but they were never written.
    pub(super) fn drop_pages(&mut self) {
        for change in &mut self.pending {
            if let Change::Append(bytes) = change {
                bytes.fill(0);
            }
        }
    }
}
