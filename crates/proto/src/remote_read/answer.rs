//! Decodes answers, as a client does.

#![deny(clippy::indexing_slicing)]

use duramen_model::Histogram;

use crate::chunk::{Chunk, Encoding};
use crate::wire::{Fields, Value};
use crate::{Error, SentHistogram, Version};

/// The labels of a series in the order of the message.
pub type LabelPairs = Vec<(String, String)>;

/// One series in an answer of samples.
#[derive(Clone, Debug, Default)]
pub struct AnsweredSeries {
    pub labels: LabelPairs,
    pub floats: Vec<(i64, f64)>,
    pub histograms: Vec<(i64, Histogram)>,
}

/// One frame of a streamed answer.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    pub query: u64,
    pub labels: LabelPairs,
    pub chunks: Vec<Chunk>,
}

/// Decodes a `ReadResponse`. Returns the series of each query.
pub fn read_response(body: &[u8]) -> Result<Vec<Vec<AnsweredSeries>>, Error> {
    let mut results = Vec::new();
    let mut fields = Fields::new("ReadResponse", body);

    while let Some((number, value)) = fields.next_field()? {
        let (1, Value::Bytes(result)) = (number, value) else {
            continue;
        };

        let mut all = Vec::new();
        let mut fields = Fields::new("QueryResult", result);

        while let Some((number, value)) = fields.next_field()? {
            if let (1, Value::Bytes(series)) = (number, value) {
                all.push(read_series(series)?);
            }
        }

        results.push(all);
    }

    Ok(results)
}

fn read_series(message: &[u8]) -> Result<AnsweredSeries, Error> {
    let mut series = AnsweredSeries::default();
    let mut fields = Fields::new("TimeSeries", message);

    while let Some((number, value)) = fields.next_field()? {
        match (number, value) {
            (1, Value::Bytes(label)) => series.labels.push(read_label(label)?),
            (2, Value::Bytes(sample)) => series.floats.push(read_float(sample)?),
            (4, Value::Bytes(message)) => {
                let sent = SentHistogram::read(message, Version::One)?;
                series.histograms.push((sent.ts_ms, sent.decode()?));
            }
            _ => {}
        }
    }

    Ok(series)
}

fn read_label(message: &[u8]) -> Result<(String, String), Error> {
    let mut pair = (String::new(), String::new());
    let mut fields = Fields::new("Label", message);

    while let Some((number, value)) = fields.next_field()? {
        let Value::Bytes(bytes) = value else { continue };
        let text = String::from_utf8(bytes.to_vec())
            .map_err(|_| fields.refused("a label is not UTF-8"))?;

        match number {
            1 => pair.0 = text,
            2 => pair.1 = text,
            _ => {}
        }
    }

    Ok(pair)
}

fn read_float(message: &[u8]) -> Result<(i64, f64), Error> {
    let mut sample = (0, 0.0);
    let mut fields = Fields::new("Sample", message);

    while let Some((number, value)) = fields.next_field()? {
        match (number, value) {
            (1, Value::Fixed64(bits)) => sample.1 = f64::from_bits(bits),
            (2, Value::Varint(ts_ms)) => sample.0 = ts_ms.cast_signed(),
            _ => {}
        }
    }

    Ok(sample)
}

/// Decodes the frames of a streamed answer and verifies their checksums.
pub fn read_frames(mut bytes: &[u8]) -> Result<Vec<Frame>, Error> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (message, rest) = split_frame(bytes).ok_or(Error::Frame)?;
        frames.push(read_frame(message)?);
        bytes = rest;
    }

    Ok(frames)
}

/// Splits the message of the first frame from the bytes after it.
fn split_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut head = Fields::new("frame", bytes);
    let length = head.next_packed().ok()??;
    let (checksum, bytes) = bytes.get(head.offset()..)?.split_first_chunk()?;
    let (message, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;

    (crc32c::crc32c(message) == u32::from_be_bytes(*checksum)).then_some((message, rest))
}

fn read_frame(message: &[u8]) -> Result<Frame, Error> {
    let mut frame = Frame::default();
    let mut fields = Fields::new("ChunkedReadResponse", message);

    while let Some((number, value)) = fields.next_field()? {
        match (number, value) {
            (1, Value::Bytes(series)) => {
                let mut fields = Fields::new("ChunkedSeries", series);
                while let Some((number, value)) = fields.next_field()? {
                    match (number, value) {
                        (1, Value::Bytes(label)) => frame.labels.push(read_label(label)?),
                        (2, Value::Bytes(chunk)) => frame.chunks.push(read_chunk(chunk)?),
                        _ => {}
                    }
                }
            }
            (2, Value::Varint(query)) => frame.query = query,
            _ => {}
        }
    }

    Ok(frame)
}

fn read_chunk(message: &[u8]) -> Result<Chunk, Error> {
    let mut chunk = Chunk {
        encoding: Encoding::Xor,
        first_ms: 0,
        last_ms: 0,
        data: Vec::new(),
    };

    let mut fields = Fields::new("Chunk", message);

    while let Some((number, value)) = fields.next_field()? {
        match (number, value) {
            (1, Value::Varint(ms)) => chunk.first_ms = ms.cast_signed(),
            (2, Value::Varint(ms)) => chunk.last_ms = ms.cast_signed(),
            (3, Value::Varint(encoding)) => {
                chunk.encoding = Encoding::of(encoding)
                    .ok_or_else(|| fields.refused("a chunk has an unknown encoding"))?;
            }
            (4, Value::Bytes(data)) => chunk.data = data.to_vec(),
            _ => {}
        }
    }

    Ok(chunk)
}
