//! Encodes the answer as a stream of frames. Each frame has chunks of one series.
//!
//! ```text
//! frame := length:uvarint crc32c:u32be ChunkedReadResponse          the checksum is over the message, `length` bytes
//! ```
//!
//! A series that needs several frames has them one after the other, each with its labels.

use super::labels::{put_labels, varint_bytes};
use crate::chunk::Chunk;
use crate::wire::{put_bytes, put_varint, put_varint_field};

/// A frame ends with the chunk that makes its message this long or longer.
pub const FRAME_BYTES: usize = 1 << 20;

/// Puts the chunks of one series into frames.
#[derive(Debug)]
pub struct SeriesFrames {
    query: usize,
    labels: Vec<u8>,
    /// An unfinished `ChunkedSeries` message: the labels, and the chunks since the last frame.
    series: Vec<u8>,
}

impl SeriesFrames {
    /// Begins a series of the query number `query`. The labels are in their encoded form.
    pub fn begin(query: usize, encoded_labels: &[u8]) -> Self {
        let mut labels = Vec::new();
        put_labels(&mut labels, encoded_labels);

        Self {
            query,
            series: labels.clone(),
            labels,
        }
    }

    /// Adds a chunk; the chunks of a series must come in time order. Returns the frame if the chunk
    /// fills it.
    pub fn push(&mut self, chunk: &Chunk) -> Option<Vec<u8>> {
        let mut message = Vec::with_capacity(chunk.data.len() + 32);
        put_int64(&mut message, 1, chunk.first_ms);
        put_int64(&mut message, 2, chunk.last_ms);
        put_varint_field(&mut message, 3, chunk.encoding as u64);
        put_bytes(&mut message, 4, &chunk.data);
        put_bytes(&mut self.series, 2, &message);

        (self.series.len() >= FRAME_BYTES).then(|| self.frame())
    }

    /// Returns the frame of the remaining chunks; `None` when there are none.
    pub fn finish(mut self) -> Option<Vec<u8>> {
        (self.series.len() > self.labels.len()).then(|| self.frame())
    }

    fn frame(&mut self) -> Vec<u8> {
        let mut message = Vec::with_capacity(self.series.len() + 16);
        put_bytes(&mut message, 1, &self.series);

        if self.query != 0 {
            put_varint_field(&mut message, 2, self.query as u64);
        }

        self.series.truncate(self.labels.len());

        let length = message.len() as u64;
        let mut frame = Vec::with_capacity(message.len() + varint_bytes(length) + 4);
        put_varint(&mut frame, length);
        frame.extend_from_slice(&crc32c::crc32c(&message).to_be_bytes());
        frame.extend_from_slice(&message);

        frame
    }
}

/// Appends a signed number. Zero is the default of the field, and is left out.
fn put_int64(out: &mut Vec<u8>, number: u32, value: i64) {
    if value != 0 {
        put_varint_field(out, number, value.cast_unsigned());
    }
}
