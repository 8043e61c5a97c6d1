//! The value of a series at a step.

use duramen_model::FloatHistogram;

/// The value of a series at a step.
#[derive(Clone, Debug)]
pub(crate) enum Cell<'a> {
    Float(f64),
    /// A histogram in byte form, as operators pass it on.
    Encoded(&'a [u8]),
    /// A histogram that was just computed.
    Histogram(Box<FloatHistogram>),
}

impl From<f64> for Cell<'_> {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<FloatHistogram> for Cell<'_> {
    fn from(histogram: FloatHistogram) -> Self {
        Self::Histogram(Box::new(histogram))
    }
}

/// A value to calculate with.
#[derive(Clone, Debug)]
pub(crate) enum Sample {
    Float(f64),
    Histogram(Box<FloatHistogram>),
}

impl Cell<'_> {
    pub(crate) fn decode(self) -> Sample {
        match self {
            Self::Float(value) => Sample::Float(value),
            Self::Encoded(bytes) => Sample::Histogram(Box::new(decoded(bytes))),
            Self::Histogram(histogram) => Sample::Histogram(histogram),
        }
    }
}

impl From<Sample> for Cell<'_> {
    fn from(sample: Sample) -> Self {
        match sample {
            Sample::Float(value) => Self::Float(value),
            Sample::Histogram(histogram) => Self::Histogram(histogram),
        }
    }
}

/// Decodes a histogram that an operator encoded.
pub(crate) fn decoded(bytes: &[u8]) -> FloatHistogram {
    FloatHistogram::from_bytes(bytes).expect("operators pass histograms on in their byte form")
}
