//! The payload of a write record: columns, compressed together.
//!
//! ```text
//! payload := 0 body | 1 body_length:u32 zstd(body)
//! body    := tenant[16] count definition* count refs:runs times:runs values section*
//! definition := ref:varint length:varint labels[length]
//! ```
//!
//! Each record can be decoded without any other. Its references have a meaning only with the
//! records of the same segment that define them. If such a record is damaged, the samples that
//! refer to it are lost as well, and the caller of a replay must count them.

#![deny(clippy::indexing_slicing)]

use std::fmt;

use duramen_model::TenantId;
use zstd::bulk::{Compressor, Decompressor};

use crate::error::Error;
use crate::frame::PAYLOAD_BYTES_MAX;
use crate::record::{OwnedRecord, WriteRecord};
use crate::runs::{put_runs, take_runs};
use crate::sections::{put_sections, take_sections};
use crate::values::{put_values, take_values};
use crate::varint::{Input, put_varint};

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
/// A shorter body is not compressed: the compressor's own overhead takes what it saves.
const COMPRESS_BYTES_MIN: usize = 128;
/// The longest body: a payload that holds it uncompressed has one byte more.
const BODY_BYTES_MAX: usize = PAYLOAD_BYTES_MAX - 1;
/// Higher levels take three times as long and save a few per cent.
const LEVEL: i32 = 1;

/// Encodes payloads. Keeps its buffers and the compressor between records.
pub(crate) struct Encoder {
    compressor: Compressor<'static>,
    body: Vec<u8>,
    payload: Vec<u8>,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

impl Encoder {
    pub(crate) fn new() -> Self {
        let compressor =
            Compressor::new(LEVEL).expect("a compressor of this level needs only memory");
        Self {
            compressor,
            body: vec![],
            payload: vec![],
        }
    }

    /// Returns the payload of `record`, valid until the next call. Panics if the columns of samples
    /// differ in length; the column of lives may be empty.
    pub(crate) fn encode(&mut self, record: &WriteRecord<'_>) -> Result<&[u8], Error> {
        assert_eq!(record.refs.len(), record.ts_ms.len(), "one time per sample");
        assert_eq!(
            record.refs.len(),
            record.values.len(),
            "one value per sample"
        );

        assert!(
            record.lives.is_empty() || record.lives.len() == record.refs.len(),
            "one life per sample, or none"
        );

        self.body.clear();
        put_body(&mut self.body, record);

        if self.body.len() > BODY_BYTES_MAX {
            let bytes = self.body.len();
            self.body = vec![];
            return Err(Error::RecordTooLarge {
                bytes,
                bytes_max: BODY_BYTES_MAX,
            });
        }

        if self.body.len() < COMPRESS_BYTES_MIN || !self.compress() {
            self.payload.clear();
            self.payload.push(PLAIN);
            self.payload.extend_from_slice(&self.body);
        }

        Ok(&self.payload)
    }

    /// Fills the payload. Returns false if compression saves nothing.
    fn compress(&mut self) -> bool {
        let length = u32::try_from(self.body.len()).expect("the body was bounded before");
        self.payload.clear();
        self.payload.push(ZSTD);
        self.payload.extend_from_slice(&length.to_le_bytes());

        let head = self.payload.len();

        // The buffer is no larger than the body: a longer result would save nothing.
        self.payload.resize(head + self.body.len(), 0);

        let Some(room) = self.payload.get_mut(head..) else {
            return false;
        };
        let Ok(written) = self.compressor.compress_to_buffer(&self.body, room) else {
            return false;
        };
        self.payload.truncate(head + written);

        self.payload.len() < 1 + self.body.len()
    }
}

fn put_body(out: &mut Vec<u8>, record: &WriteRecord<'_>) {
    out.extend_from_slice(&record.tenant.0.to_bytes());
    put_varint(out, record.series.len() as u64);

    for (series_ref, labels) in record.series {
        put_varint(out, u64::from(*series_ref));
        put_varint(out, labels.len() as u64);
        out.extend_from_slice(labels);
    }

    put_varint(out, record.refs.len() as u64);
    put_runs(
        out,
        record.refs.iter().map(|series_ref| i64::from(*series_ref)),
    );

    put_runs(out, record.ts_ms.iter().copied());
    put_values(out, record.values);
    put_sections(out, record);
}

/// Decodes payloads. Keeps the decompressor between records.
pub(crate) struct Decoder {
    decompressor: Decompressor<'static>,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self {
            decompressor: Decompressor::new().expect("a decompressor needs only memory"),
        }
    }

    /// Returns `None` if the bytes are not a payload. Allocates at most a constant plus a constant
    /// factor of the body: its counts are compared with the bytes that are left.
    pub(crate) fn decode(&mut self, payload: &[u8]) -> Option<OwnedRecord> {
        let mut input = Input::new(payload);

        match input.array()? {
            [PLAIN] => take_body(&mut input),
            [ZSTD] => {
                let length = usize::try_from(u32::from_le_bytes(input.array()?)).ok()?;
                if length > BODY_BYTES_MAX {
                    return None;
                }

                let body = self
                    .decompressor
                    .decompress(input.take(input.len())?, length)
                    .ok()?;

                if body.len() != length {
                    return None;
                }

                take_body(&mut Input::new(&body))
            }
            _ => None,
        }
    }
}

fn take_body(input: &mut Input<'_>) -> Option<OwnedRecord> {
    let tenant = TenantId(u128::from_be_bytes(input.array()?).into());
    let series = take_definitions(input)?;
    let count = input.length()?;

    // Every sample has a byte in the column of lengths. So this bounds the memory for the runs
    // before that column, which can be short.
    if count > input.len() {
        return None;
    }

    let mut refs = Vec::with_capacity(count);
    take_runs(input, count, |value| {
        refs.push(u32::try_from(value).ok()?);
        Some(())
    })?;

    let mut ts_ms = Vec::with_capacity(count);
    take_runs(input, count, |value| {
        ts_ms.push(value);
        Some(())
    })?;

    let values = take_values(input, count)?;
    let lives = Vec::new();
    let histograms = Vec::new();
    let exemplars = Vec::new();
    let metadata = Vec::new();
    let tenant_name = String::new();

    let mut record = OwnedRecord {
        tenant,
        tenant_name,
        series,
        refs,
        ts_ms,
        values,
        lives,
        histograms,
        exemplars,
        metadata,
    };

    take_sections(input, &mut record)?;
    Some(record)
}

fn take_definitions(input: &mut Input<'_>) -> Option<Vec<(u32, Vec<u8>)>> {
    let count = input.length()?;

    // A definition has at least two bytes.
    if count > input.len() / 2 {
        return None;
    }

    let mut series = Vec::with_capacity(count);
    for _ in 0..count {
        let series_ref = u32::try_from(input.varint()?).ok()?;
        let length = input.length()?;
        series.push((series_ref, input.take(length)?.to_vec()));
    }

    Some(series)
}

#[cfg(test)]
mod tests {
    use duramen_model::{FamilyMetadata, Life, MetricType};
    use proptest::prelude::*;

    use super::*;
    use crate::record::{ExemplarRow, HistogramRow};

    fn family() -> FamilyMetadata {
        FamilyMetadata {
            family: "m".to_owned(),
            kind: MetricType::Gauge,
            help: "Help.".to_owned(),
            unit: "s".to_owned(),
            last_seen_ms: 9,
        }
    }

    /// Returns a payload that is not compressed, so that damage reaches the columns.
    fn plain() -> Vec<u8> {
        let record = WriteRecord {
            tenant: TenantId(7.into()),
            tenant_name: "tenant",
            series: &[(3, b"labels"), (4, b"")],
            refs: &[3, 4, 4],
            ts_ms: &[5, 5, 6],
            values: &[1.0, 0.5, -3.0],
            lives: &[
                Life {
                    start_ms: 1,
                    ttl_ms: 2,
                },
                Life::NONE,
                Life::NONE,
            ],
            histograms: &[HistogramRow {
                series_ref: 3,
                ts_ms: 7,
                life: Life::NONE,
                bytes: b"histogram".to_vec(),
            }],
            exemplars: &[ExemplarRow {
                series_ref: 4,
                ts_ms: 8,
                value: 0.1,
                labels: b"trace".to_vec(),
            }],
            metadata: &[family()],
        };

        Encoder::new().encode(&record).unwrap().to_vec()
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_record_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Decoder::new().decode(&bytes);
        }

        #[test]
        fn a_damaged_body_is_a_record_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in 0usize..4) {
            let mut payload = plain();
            if let Some(damaged) = payload.get_mut(at.index(plain().len())) {
                *damaged = byte;
            }

            payload.truncate(payload.len() - cut);
            if let Some(record) = Decoder::new().decode(&payload) {
                prop_assert_eq!(record.refs.len(), record.values.len());
                prop_assert_eq!(record.ts_ms.len(), record.values.len());
                prop_assert!(record.lives.is_empty() || record.lives.len() == record.values.len());
            }
        }
    }

    #[test]
    fn counts_beyond_the_bytes_that_are_left_are_refused() {
        let huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
        let definitions = [&[PLAIN][..], &[0; 16], &huge].concat();

        let samples = [
            &[PLAIN][..],
            &[0; 17],
            &huge,
            &[0, 0xff, 0xff, 0xff, 0xff, 0x0f],
        ]
        .concat();

        let compressed = [&[ZSTD][..], &[0xff; 4], &[0; 40]].concat();

        // No samples, then a section with more rows than there are bytes.
        let section = |number: u8| [&[PLAIN][..], &[0; 18], &[number], &huge].concat();

        for payload in [
            definitions,
            samples,
            compressed,
            section(3),
            section(4),
            section(5),
        ] {
            assert!(Decoder::new().decode(&payload).is_none());
        }
    }

    #[test]
    fn nothing_may_stand_behind_a_record() {
        assert!(Decoder::new().decode(&plain()).is_some());
        assert!(
            Decoder::new()
                .decode(&[plain(), vec![0]].concat())
                .is_none()
        );

        // A section that was there already, and an unknown one.
        for section in [3, 7] {
            assert!(
                Decoder::new()
                    .decode(&[plain(), vec![section, 0]].concat())
                    .is_none()
            );
        }
    }
}
