//! Remote write 1.0: `prometheus.WriteRequest`.
//!
//! The decoder walks the whole body once before anything of it is used, so that a body that is broken anywhere changes nothing. It
//! borrows labels from the body and copies samples into two flat columns: 16 bytes a sample, [`WriteLimits`] bounds them.

use crate::Error;
use crate::wire::{Fields, Value, put_bytes, put_fixed64, put_varint_field};

mod labels;

pub use labels::{LabelBytes, LabelPair};

/// What one request may hold.
#[derive(Clone, Copy, Debug)]
pub struct WriteLimits {
    pub series_max: usize,
    pub samples_max: usize,
}

impl Default for WriteLimits {
    /// A body of 32 MiB with labels in it holds fewer; these bound the memory that a body without labels can take.
    fn default() -> Self {
        Self { series_max: 1 << 20, samples_max: 2 << 20 }
    }
}

/// A decoded request.
#[derive(Debug, Default)]
pub struct WriteRequest<'a> {
    /// In the order of the request, those without samples left out. One label set may come several times.
    pub series: Vec<Series<'a>>,
    /// The samples of all series, one after the other: times in milliseconds and values bit for bit.
    pub ts_ms: Vec<i64>,
    pub values: Vec<f64>,
    /// What came with the request and is not held in the columns.
    pub exemplars: usize,
    pub histograms: usize,
    pub metadata: usize,
}

/// One time series of a request.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    pub labels: LabelBytes<'a>,
    /// Its samples are `[samples_start, samples_end)` of the request's columns.
    pub samples_start: usize,
    pub samples_end: usize,
    /// How many native histograms came with it.
    pub histograms: usize,
}

impl<'a> WriteRequest<'a> {
    /// Decodes a protobuf body (after snappy). Unknown fields are skipped; an empty body is an empty request.
    pub fn decode(body: &'a [u8], limits: &WriteLimits) -> Result<Self, Error> {
        let mut request = Self::default();
        let mut fields = Fields::new("WriteRequest", body);
        while let Some((number, value)) = fields.next_field()? {
            match (number, value) {
                (1, Value::Bytes(series)) => request.take_series(series, limits)?,
                (3, Value::Bytes(_)) => request.metadata += 1,
                (1 | 3, _) => return Err(fields.refused("a message field has the wrong wire type")),
                _ => {}
            }
        }
        Ok(request)
    }

    fn take_series(&mut self, message: &'a [u8], limits: &WriteLimits) -> Result<(), Error> {
        let samples_start = self.ts_ms.len();
        let (mut labels, mut histograms) = (LabelBytes::new(message), 0);
        let mut fields = Fields::new("TimeSeries", message);
        loop {
            let field_start = fields.offset();
            let Some((number, value)) = fields.next_field()? else { break };
            match (number, value) {
                (1, Value::Bytes(_)) => labels.seen(field_start, fields.offset()),
                (2, Value::Bytes(sample)) => self.take_sample(sample, limits)?,
                (3, Value::Bytes(_)) => self.exemplars += 1,
                (4, Value::Bytes(_)) => histograms += 1,
                (1..=4, _) => return Err(fields.refused("a message field has the wrong wire type")),
                _ => {}
            }
        }
        self.histograms += histograms;
        let samples_end = self.ts_ms.len();
        if samples_end == samples_start && histograms == 0 {
            return Ok(());
        }
        if self.series.len() == limits.series_max {
            return Err(Error::TooManySeries { max: limits.series_max });
        }
        self.series.push(Series { labels, samples_start, samples_end, histograms });
        Ok(())
    }

    fn take_sample(&mut self, message: &[u8], limits: &WriteLimits) -> Result<(), Error> {
        let (mut ts_ms, mut bits) = (0, 0);
        let mut fields = Fields::new("Sample", message);
        while let Some((number, value)) = fields.next_field()? {
            match (number, value) {
                (1, Value::Fixed64(v)) => bits = v,
                (2, Value::Varint(v)) => ts_ms = v.cast_signed(),
                (1 | 2, _) => return Err(fields.refused("a field has the wrong wire type")),
                _ => {}
            }
        }
        if self.ts_ms.len() == limits.samples_max {
            return Err(Error::TooManySamples { max: limits.samples_max });
        }
        self.ts_ms.push(ts_ms);
        self.values.push(f64::from_bits(bits));
        Ok(())
    }
}

/// Builds the protobuf body of a request, before snappy.
#[derive(Debug, Default)]
pub struct WriteRequestEncoder {
    body: Vec<u8>,
    series: Vec<u8>,
    part: Vec<u8>,
}

impl WriteRequestEncoder {
    /// Appends a series; labels go out as given.
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

#[cfg(test)]
mod tests;
