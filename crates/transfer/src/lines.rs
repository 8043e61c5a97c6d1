//! Lines of bounded length.

use std::io::{BufRead, BufReader, Read};

use xxhash_rust::xxh3::Xxh3;

use crate::error::Error;

/// The longest line. The labels of a series have at most 64 KiB.
pub(crate) const LINE_BYTES_MAX: usize = 1 << 20;
const BUFFER_BYTES: usize = 1 << 20;

/// Reads lines, and computes the digest of those that were read.
pub(crate) struct Lines {
    input: BufReader<Box<dyn Read + Send>>,
    line: Vec<u8>,
    /// The number of the last line, from 1.
    pub(crate) number: u64,
    pub(crate) digest: Xxh3,
    /// The bytes that went into the digest.
    pub(crate) bytes: u64,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Lines {
    pub(crate) fn new(input: Box<dyn Read + Send>) -> Self {
        Self {
            input: BufReader::with_capacity(BUFFER_BYTES, input),
            line: Vec::new(),
            number: 0,
            digest: Xxh3::new(),
            bytes: 0,
        }
    }

    /// Reads a line into [`Lines::line`], without its end. Returns whether there was one.
    pub(crate) fn next(&mut self) -> Result<bool, Error> {
        self.line.clear();

        let limit = LINE_BYTES_MAX as u64 + 1;
        let mut within = (&mut self.input).take(limit);
        let read = within.read_until(b'\n', &mut self.line);

        if read.map_err(Error::Input)? == 0 {
            return Ok(false);
        }

        self.number += 1;
        self.digest.update(&self.line);
        self.bytes += self.line.len() as u64;

        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if self.line.len() > LINE_BYTES_MAX {
            return Err(self.fault(format!("a line has more than {LINE_BYTES_MAX} bytes")));
        }

        Ok(true)
    }

    /// The last line.
    pub(crate) fn line(&self) -> &[u8] {
        &self.line
    }

    pub(crate) fn fault(&self, what: impl Into<String>) -> Error {
        Error::Line {
            line: self.number,
            what: what.into(),
        }
    }
}
