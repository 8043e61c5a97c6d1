//! The labels of a series or an exemplar in a request.

use std::ops::Range;

use crate::Error;
use crate::wire::{Fields, Value, truncated};

/// A name and a value as sent. They may be invalid UTF-8.
pub type LabelPair<'a> = (&'a [u8], &'a [u8]);

/// Where the text of a request's labels is.
#[derive(Debug, Default)]
pub(super) enum LabelText<'a> {
    /// In the label fields (1.0).
    #[default]
    Inline,
    /// In the symbols, to which the label fields refer (2.0).
    Symbols(Vec<&'a [u8]>),
    /// In this list of all labels of all series and exemplars, one set after the other (a built
    /// request).
    Pairs(Vec<LabelPair<'a>>),
}

/// The label fields of one message, not decoded: labels in 1.0, references to symbols in 2.0. For a
/// built request, a position in [`LabelText::Pairs`].
///
/// Senders put the labels first in the message and send the same bytes each time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LabelBytes<'a> {
    /// The fields, and everything between them.
    pub(super) bytes: &'a [u8],
    /// The number of labels, including repeated and empty ones.
    pub(super) count: u32,
    /// The position of the first label, for a built request.
    first: u32,
}

/// Collects the positions of the label fields while a message is read.
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

    /// Notes `fields` label fields at the start of the message, up to `end`.
    #[inline]
    pub(super) const fn seen_first(&mut self, fields: u32, end: usize) {
        self.end = end;
        self.fields = fields;
    }

    /// The bytes of the label fields. The count is that of the fields, which is the number of
    /// labels in 1.0.
    pub(super) fn of<'a>(&self, message: &'a [u8]) -> LabelBytes<'a> {
        LabelBytes {
            bytes: message.get(self.start..self.end).unwrap_or_default(),
            count: self.fields,
            first: 0,
        }
    }
}

impl<'a> LabelBytes<'a> {
    /// The labels at these positions of [`LabelText::Pairs`].
    pub(super) fn of_pairs(place: Range<u32>) -> Self {
        Self {
            bytes: &[],
            count: place.end - place.start,
            first: place.start,
        }
    }

    /// The positions in [`LabelText::Pairs`].
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

    /// Calls `take` with each label of remote write 1.0.
    pub(super) fn each_label(&self, mut take: impl FnMut(LabelPair<'a>)) -> Result<(), Error> {
        let mut fields = Fields::new("TimeSeries", self.bytes);
        while let Some((number, value)) = fields.next_field()? {
            if let (1, Value::Bytes(label)) = (number, value) {
                take(decode_label(label)?);
            }
        }

        Ok(())
    }

    /// Calls `take` with the references to the name and the value of each label of remote write
    /// 2.0.
    pub(super) fn each_pair(&self, mut take: impl FnMut(u32, u32)) -> Result<(), Error> {
        let mut name = None;
        self.each_reference(|reference| match name.take() {
            None => name = Some(reference),
            Some(name) => take(name, reference),
        })
    }

    /// Calls `take` with each reference of remote write 2.0, packed or not.
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
