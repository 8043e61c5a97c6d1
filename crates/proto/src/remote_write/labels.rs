//! The labels of a series as they stand in a request.

use crate::Error;
use crate::wire::{Fields, Value};

/// The labels of one time series, undecoded.
///
/// Senders put them first in their message and send the same bytes each time, so those bytes identify a series that has been
/// seen before without looking at a label.
#[derive(Clone, Debug)]
pub struct LabelBytes<'a> {
    message: &'a [u8],
    /// The label fields are `message[start..end]`, together with whatever stands between them.
    start: usize,
    end: usize,
    count: usize,
}

/// A name and a value.
pub type LabelPair<'a> = (&'a [u8], &'a [u8]);

impl<'a> LabelBytes<'a> {
    pub(super) const fn new(message: &'a [u8]) -> Self {
        Self { message, start: 0, end: 0, count: 0 }
    }

    /// Notes a label field at `message[start..end]`.
    pub(super) const fn seen(&mut self, start: usize, end: usize) {
        if self.count == 0 {
            self.start = start;
        }
        self.end = end;
        self.count += 1;
    }

    /// How many labels there are, repeated and empty ones included.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The fields' bytes: equal bytes are equal labels.
    pub fn bytes(&self) -> &'a [u8] {
        self.message.get(self.start..self.end).unwrap_or_default()
    }

    /// The names and values as sent, in the order sent; not known to be UTF-8, sorted or distinct.
    pub fn decode(&self) -> Result<Vec<LabelPair<'a>>, Error> {
        let mut labels = Vec::with_capacity(self.count.min(256));
        let mut fields = Fields::new("TimeSeries", self.bytes());
        while let Some((number, value)) = fields.next_field()? {
            if let (1, Value::Bytes(label)) = (number, value) {
                labels.push(decode_label(label)?);
            }
        }
        Ok(labels)
    }
}

fn decode_label(message: &[u8]) -> Result<LabelPair<'_>, Error> {
    let (mut name, mut text) = (&message[..0], &message[..0]);
    let mut fields = Fields::new("Label", message);
    while let Some((number, value)) = fields.next_field()? {
        match (number, value) {
            (1, Value::Bytes(v)) => name = v,
            (2, Value::Bytes(v)) => text = v,
            (1 | 2, _) => return Err(fields.refused("a field has the wrong wire type")),
            _ => {}
        }
    }
    Ok((name, text))
}
