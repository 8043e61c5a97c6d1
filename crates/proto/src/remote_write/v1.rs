//! Decodes `prometheus.WriteRequest`.

use super::labels::LabelSpan;
use super::limits::{Budget, WriteLimits};
use super::{SentExemplar, SentHistogram, Version, WriteRequest, metadata};
use crate::Error;
use crate::wire::{Fields, Value};

/// The tag of a label in a series: field 1, length-delimited.
const LABEL: u8 = 1 << 3 | 2;

/// A request has about one series for so many bytes of its body. The columns are made so long at
/// once, which takes less memory than the body.
const BYTES_PER_SERIES: usize = 256;

impl<'a> WriteRequest<'a> {
    /// Decodes the body of a message of remote write 1.0 (after snappy). Unknown fields beside
    /// known ones are skipped, and an empty body is an empty request. A body of unknown fields
    /// only, or with fields of 2.0, is refused, because otherwise it would be acknowledged but not
    /// stored.
    pub fn decode_v1(body: &'a [u8], limits: &WriteLimits) -> Result<Self, Error> {
        decode(body, limits)
    }
}

fn decode<'a>(body: &'a [u8], limits: &WriteLimits) -> Result<WriteRequest<'a>, Error> {
    let mut request = WriteRequest::default();
    request.reserve(body.len() / BYTES_PER_SERIES);

    let mut budget = Budget::new(limits);
    let mut unknown = None;
    let mut fields = Fields::new("WriteRequest", body);

    while let Some((number, value)) = fields.next_field()? {
        match (number, value) {
            (1, Value::Bytes(series)) => {
                take_series(&mut request, series, &mut budget, &mut unknown)?
            }
            // Cortex and Mimir put the sending component here.
            (2, Value::Varint(_)) => {}
            (3, Value::Bytes(message)) => {
                request.push_metadata(metadata::read(message)?, &mut budget)?
            }
            (1 | 3, _) => return Err(fields.refused("a message field has the wrong wire type")),
            // These are the symbols and the series of 2.0.
            (4 | 5, Value::Bytes(_)) => {
                return Err(Error::OtherVersion {
                    number,
                    found: Version::Two,
                    declared: Version::One.message(),
                });
            }
            _ => {
                unknown = unknown.or(Some(Unknown {
                    message: "WriteRequest",
                    number,
                }))
            }
        }
    }

    let is_empty = request.series.is_empty() && request.metadata.is_empty();
    match unknown {
        Some(Unknown { message, number }) if is_empty => {
            Err(Error::NothingKnown { message, number })
        }
        _ => Ok(request),
    }
}

/// The first field that was skipped.
#[derive(Clone, Copy)]
struct Unknown {
    message: &'static str,
    number: u32,
}

fn take_series<'a>(
    request: &mut WriteRequest<'a>,
    message: &'a [u8],
    budget: &mut Budget,
    unknown: &mut Option<Unknown>,
) -> Result<(), Error> {
    let mark = request.mark();
    let mut labels = LabelSpan::default();
    let mut fields = Fields::new("TimeSeries", message);

    // Nearly all labels are short and come first, so most of them are passed over here.
    let first = fields.skip_short(LABEL);
    labels.seen_first(first, fields.offset());

    loop {
        let field_start = fields.offset();
        let Some((number, value)) = fields.next_field()? else {
            break;
        };

        match (number, value) {
            (1, Value::Bytes(_)) => labels.seen(field_start, fields.offset()),
            (2, Value::Bytes(sample)) => request.push_sample(sample, Version::One, budget)?,
            (3, Value::Bytes(exemplar)) => {
                request.push_exemplar(SentExemplar::read(exemplar, Version::One)?, budget)?
            }
            (4, Value::Bytes(histogram)) => {
                request.push_histogram(SentHistogram::read(histogram, Version::One)?, budget)?
            }
            (1..=4, _) => return Err(fields.refused("a message field has the wrong wire type")),
            _ => {
                *unknown = unknown.or(Some(Unknown {
                    message: "TimeSeries",
                    number,
                }))
            }
        }
    }

    request.push_series(labels.of(message), &mark, budget)
}
