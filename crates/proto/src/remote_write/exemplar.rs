//! The exemplars of a request.

use super::Version;
use super::labels::{LabelBytes, LabelSpan};
use crate::Error;
use crate::wire::{Fields, Value};

/// An exemplar of a request.
/// [`WriteRequest::exemplar_labels`](super::WriteRequest::exemplar_labels) returns its labels.
#[derive(Clone, Copy, Debug)]
pub struct SentExemplar<'a> {
    pub ts_ms: i64,
    pub value: f64,
    pub(super) labels: LabelBytes<'a>,
}

impl<'a> SentExemplar<'a> {
    /// Reads an `Exemplar` message of either version. In 2.0 its labels are references, which are
    /// neither counted nor looked up here.
    pub(super) fn read(message: &'a [u8], version: Version) -> Result<Self, Error> {
        let mut ts_ms = 0;
        let mut bits = 0;
        let mut labels = LabelSpan::default();
        let mut fields = Fields::new("Exemplar", message);

        loop {
            let field_start = fields.offset();
            let Some((number, value)) = fields.next_field()? else {
                break;
            };

            match (number, value) {
                (1, Value::Bytes(_)) => labels.seen(field_start, fields.offset()),
                (1, Value::Varint(_)) if version == Version::Two => {
                    labels.seen(field_start, fields.offset())
                }
                (2, Value::Fixed64(v)) => bits = v,
                (3, Value::Varint(v)) => ts_ms = v.cast_signed(),
                (1..=3, _) => return Err(fields.refused("a field has the wrong wire type")),
                _ => {}
            }
        }

        Ok(Self {
            ts_ms,
            value: f64::from_bits(bits),
            labels: labels.of(message),
        })
    }
}
