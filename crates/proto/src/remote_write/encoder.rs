//! The encoder of remote write 1.0.

use crate::wire::{put_bytes, put_fixed64, put_varint_field};

/// Builds the protobuf body of a request, before snappy.
#[derive(Debug, Default)]
pub struct WriteRequestEncoder {
    body: Vec<u8>,
    series: Vec<u8>,
    part: Vec<u8>,
}

impl WriteRequestEncoder {
    /// Appends a series. Its labels are written as given.
    pub fn push<'l>(
        &mut self,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
        samples: impl IntoIterator<Item = (i64, f64)>,
    ) {
        self.series.clear();
        for (name, value) in labels {
            self.part.clear();
            put_bytes(&mut self.part, 1, name.as_bytes());
            put_bytes(&mut self.part, 2, value.as_bytes());
            put_bytes(&mut self.series, 1, &self.part);
        }

        for (ts_ms, value) in samples {
            self.part.clear();
            put_fixed64(&mut self.part, 1, value.to_bits());
            put_varint_field(&mut self.part, 2, ts_ms.cast_unsigned());
            put_bytes(&mut self.series, 2, &self.part);
        }

        put_bytes(&mut self.body, 1, &self.series);
    }

    pub fn finish(self) -> Vec<u8> {
        self.body
    }
}
