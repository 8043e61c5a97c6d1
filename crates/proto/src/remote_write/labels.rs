//! The labels of a series or an exemplar as they stand in a request.

use std::ops::Range;

use crate::Error;
use crate::wire::{Fields, Value, truncated};

/// A name and a value, as sent: not known to be UTF-8.
pub type LabelPair<'a> = (&'a [u8], &'a [u8]);

/// Where the text of a request's labels stands.
#[derive(Debug, Default)]
pub(super) enum LabelText<'a> {
    /// In the label fields: 1.0.
    #[default]
    Inline,
    /// What the references of the label fields name: 2.0.
    Symbols(Vec<&'a [u8]>),
    /// The labels of all series and exemplars, one set after the other: a request that was built.
    Pairs(Vec<LabelPair<'a>>),
}

/// The label fields of one message, undecoded: labels in 1.0, references to symbols in 2.0. Of a
/// built request, a place among [`LabelText::Pairs`].
///
/// Senders put them first in their message and send the same bytes each time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LabelBytes<'a> {
    /// The fields, together with whatever stands between them.
    pub(super) bytes: &'a [u8],
    /// How many labels there are, repeated and empty ones included.
    pub(super) count: u32,
    /// The first label of a built request.
    first: u32,
}

/// Finds the label fields of a message while it is walked.
#[derive(Debug, Default)]
pub(super) struct LabelSpan {
    start: usize,
    end: usize,
    fields: u32,
}

impl LabelSpan {
    /// Notes a label field at `[start, end)` of the message.
    #[inline]
    pub(super) const fn seen(&mut self, start: usize, end: usize) {
        if self.fields == 0 {
            self.start = start;
        }

        self.end = end;
        self.fields += 1;
    }

    /// The fields, counted as labels, which they are in 1.0.
    pub(super) fn of<'a>(&self, message: &'a [u8]) -> LabelBytes<'a> {
        LabelBytes {
            bytes: message.get(self.start..self.end).unwrap_or_default(),
            count: self.fields,
            first: 0,
        }
    }
}

impl<'a> LabelBytes<'a> {
    /// The labels at `place` of [`LabelText::Pairs`].
    pub(super) fn of_pairs(place: Range<u32>) -> Self {
        Self {
            bytes: &[],
            count: place.end - place.start,
            first: place.start,
        }
    }

    /// The place among [`LabelText::Pairs`].
    pub(super) const fn built(&self) -> Range<usize> {
        let first = self.first as usize;
        first..first + self.count as usize
    }

    /// The labels of remote write 1.0.
    pub(super) fn pairs(&self) -> Result<Vec<LabelPair<'a>>, Error> {
        let mut pairs = Vec::with_capacity(self.count.min(256) as usize);
        self.each_label(|pair| pairs.push(pair))?;
        Ok(pairs)
    }

    /// Passes on the labels of remote write 1.0.
    pub(super) fn each_label(&self, mut take: impl FnMut(LabelPair<'a>)) -> Result<(), Error> {
        let mut fields = Fields::new("TimeSeries", self.bytes);
        while let Some((number, value)) = fields.next_field()? {
            if let (1, Value::Bytes(label)) = (number, value) {
                take(decode_label(label)?);
            }
        }

        Ok(())
    }

    /// Passes on the references of the name and the value of each label of remote write 2.0.
    pub(super) fn each_pair(&self, mut take: impl FnMut(u32, u32)) -> Result<(), Error> {
        let mut name = None;
        self.each_reference(|reference| match name.take() {
            None => name = Some(reference),
            Some(name) => take(name, reference),
        })
    }

    /// Passes on the references of remote write 2.0, packed or not.
    pub(super) fn each_reference(&self, mut take: impl FnMut(u32)) -> Result<(), Error> {
        let mut fields = Fields::new("TimeSeries", self.bytes);

        while let Some((number, value)) = fields.next_field()? {
            match (number, value) {
                (1, Value::Varint(reference)) => take(truncated(reference)),
                (1, Value::Bytes(packed)) => {
                    let mut packed = Fields::new("TimeSeries.labels_refs", packed);
                    while let Some(reference) = packed.next_packed()? {
                        take(truncated(reference));
                    }
                }
                (1, _) => return Err(fields.refused("a field has the wrong wire type")),
                _ => {}
            }
        }

        Ok(())
    }
}

fn decode_label(message: &[u8]) -> Result<LabelPair<'_>, Error> {
    let mut name = &message[..0];
    let mut text = &message[..0];
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
