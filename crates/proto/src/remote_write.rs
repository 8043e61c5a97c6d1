//! Remote write 1.0 (`prometheus.WriteRequest`) and 2.0 (`io.prometheus.write.v2.Request`), decoded
//! to one form.
//!
//! The decoders walk the whole body once before anything of it is used, so that a body that is
//! broken anywhere changes nothing. They borrow labels, histograms and text from the body and copy
//! samples into flat columns: 16 bytes a sample. [`WriteLimits`] bounds what a body may become.
//!
//! Other protocols build the same form with [`WriteRequestBuilder`].

use std::ops::Range;

use duramen_model::{Life, MetricType, ShownSeries};

use crate::Error;
use crate::wire::{Fields, Value};

mod builder;
mod encoder;
mod exemplar;
mod histogram;
mod keys;
mod labels;
mod limits;
mod metadata;
mod refused;
mod type_and_unit;
mod v1;
mod v2;

pub use builder::{SeriesBuilder, WriteRequestBuilder};
pub use encoder::WriteRequestEncoder;
pub use exemplar::SentExemplar;
pub use histogram::SentHistogram;
pub use keys::SeriesKeys;
pub use labels::LabelPair;
use labels::{LabelBytes, LabelText};
use limits::Budget;
pub use limits::WriteLimits;
pub use refused::{RefusedSeries, SeriesFault};
pub use type_and_unit::TypeAndUnitLabels;
use type_and_unit::{TypeAndUnit, is_replaced};

/// Our extension of both versions: `int64 ttl_ms` of the messages Sample and Histogram.
const TTL_FIELD: u32 = 7480;

/// The versions of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    One,
    Two,
}

impl Version {
    /// The name of the message, as content types have it.
    pub const fn message(self) -> &'static str {
        match self {
            Self::One => "prometheus.WriteRequest",
            Self::Two => "io.prometheus.write.v2.Request",
        }
    }

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::One => Self::Two,
            Self::Two => Self::One,
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::One => "1.0",
            Self::Two => "2.0",
        })
    }
}

/// A request, decoded or built.
#[derive(Debug, Default)]
pub struct WriteRequest<'a> {
    /// In the order of the request, those without samples, histograms and exemplars left out. One
    /// label set may come several times.
    pub series: Vec<Series<'a>>,
    /// The samples of all series, one after the other: times in milliseconds and values bit for
    /// bit.
    pub ts_ms: Vec<i64>,
    pub values: Vec<f64>,
    /// One for each sample, or empty when no sample says anything.
    pub lives: Vec<Life>,
    pub histograms: Vec<SentHistogram<'a>>,
    pub exemplars: Vec<SentExemplar<'a>>,
    /// In the order of the request. One family may come several times, with different contents.
    pub metadata: Vec<SentMetadata<'a>>,
    /// What was left out; only 2.0 has it.
    pub refused: Vec<RefusedSeries<'a>>,
    text: LabelText<'a>,
    /// One for each series where [`TypeAndUnitLabels`] come from metadata, else empty.
    types_and_units: Vec<Option<TypeAndUnit>>,
}

/// One time series of a request, as places in the columns of the request.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    labels: LabelBytes<'a>,
    samples: Range<u32>,
    histograms: Range<u32>,
    exemplars: Range<u32>,
}

impl Series<'_> {
    /// Which of the request's samples are its own.
    #[inline]
    pub const fn samples(&self) -> Range<usize> {
        self.samples.start as usize..self.samples.end as usize
    }

    /// Which of the request's histograms are its own.
    #[inline]
    pub const fn histograms(&self) -> Range<usize> {
        self.histograms.start as usize..self.histograms.end as usize
    }

    /// Which of the request's exemplars are its own.
    #[inline]
    pub const fn exemplars(&self) -> Range<usize> {
        self.exemplars.start as usize..self.exemplars.end as usize
    }
}

/// What a request says of one metric family; text as sent, not known to be UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentMetadata<'a> {
    pub family: &'a [u8],
    pub kind: MetricType,
    pub help: &'a [u8],
    pub unit: &'a [u8],
}

impl<'a> WriteRequest<'a> {
    /// Decodes the body of a message of remote write 1.0 (after snappy). Unknown fields are skipped
    /// beside known ones; an empty body is an empty request. What has nothing but unknown fields,
    /// or fields of 2.0, is refused: it would be acknowledged and not stored.
    pub fn decode_v1(body: &'a [u8], limits: &WriteLimits) -> Result<Self, Error> {
        v1::decode(body, limits)
    }

    /// As [`WriteRequest::decode_v1`], of 2.0. A series that breaks a rule of the message is in
    /// [`WriteRequest::refused`], not an error.
    pub fn decode_v2(
        body: &'a [u8],
        limits: &WriteLimits,
        types: TypeAndUnitLabels,
    ) -> Result<Self, Error> {
        v2::decode(body, limits, types)
    }

    /// How many labels the series at `at` has, repeated and empty ones included: as many as
    /// [`WriteRequest::labels`] would make.
    pub fn labels_count(&self, at: usize) -> usize {
        let labels = &self.series[at].labels;
        let (Some(known), LabelText::Symbols(symbols)) = (self.type_and_unit(at), &self.text)
        else {
            return labels.count as usize;
        };
        let mut kept = 0;
        let read =
            labels.each_pair(|name, _| kept += usize::from(!is_replaced(symbol(symbols, name))));

        debug_assert!(read.is_ok(), "the references were read before");

        kept + known.labels(symbols).count()
    }

    /// The labels of the series at `at` in the order sent, then its type and unit where they become
    /// labels; not known to be UTF-8, sorted or distinct.
    pub fn labels(&self, at: usize) -> Result<Vec<LabelPair<'a>>, Error> {
        let mut pairs = self.pairs(&self.series[at].labels)?;
        if let (Some(known), LabelText::Symbols(symbols)) = (self.type_and_unit(at), &self.text) {
            pairs.retain(|(name, _)| !is_replaced(name));
            pairs.extend(known.labels(symbols));
        }

        Ok(pairs)
    }

    /// What of the series at `at` stands in the place of two of its labels.
    #[inline]
    fn type_and_unit(&self, at: usize) -> Option<TypeAndUnit> {
        self.types_and_units.get(at).copied().flatten()
    }

    /// How many labels an exemplar has.
    pub const fn exemplar_labels_count(&self, exemplar: &SentExemplar<'a>) -> usize {
        exemplar.labels.count as usize
    }

    /// The labels of an exemplar of this request, as [`WriteRequest::labels`] has them.
    pub fn exemplar_labels(
        &self,
        exemplar: &SentExemplar<'a>,
    ) -> Result<Vec<LabelPair<'a>>, Error> {
        self.pairs(&exemplar.labels)
    }

    /// Identifies the series by the bytes of their labels.
    pub fn keys(&self, seed: u64) -> SeriesKeys<'_, 'a> {
        SeriesKeys::new(self, seed)
    }

    /// The series at `at` as it was sent, for an error.
    pub fn show(&self, at: usize) -> ShownSeries {
        self.show_labels(&self.series[at].labels)
    }

    /// The series of what was refused, for an error. A reference that names no symbol is shown as
    /// `?`.
    pub fn show_refused(&self, refused: &RefusedSeries<'a>) -> ShownSeries {
        self.show_labels(&refused.labels)
    }

    /// Takes no memory for the labels themselves: there may be millions of them.
    fn show_labels(&self, labels: &LabelBytes<'a>) -> ShownSeries {
        let mut shown = ShownSeries::default();

        // Labels that cannot be read are a fault that is told elsewhere; what stands before it is
        // shown.
        let _ = match &self.text {
            LabelText::Inline => labels.each_label(|(name, value)| shown.push(name, value)),
            LabelText::Symbols(symbols) => {
                let text =
                    |reference: u32| symbols.get(reference as usize).copied().unwrap_or(b"?");
                labels.each_pair(|name, value| shown.push(text(name), text(value)))
            }
            LabelText::Pairs(pairs) => {
                for (name, value) in &pairs[labels.built()] {
                    shown.push(name, value);
                }

                Ok(())
            }
        };

        shown
    }

    fn pairs(&self, labels: &LabelBytes<'a>) -> Result<Vec<LabelPair<'a>>, Error> {
        let symbols = match &self.text {
            LabelText::Inline => return labels.pairs(),
            LabelText::Pairs(pairs) => return Ok(pairs[labels.built()].to_vec()),
            LabelText::Symbols(symbols) => symbols,
        };

        let mut pairs = Vec::with_capacity(labels.count.min(256) as usize);
        labels
            .each_pair(|name, value| pairs.push((symbol(symbols, name), symbol(symbols, value))))?;

        Ok(pairs)
    }

    /// How far the columns are filled.
    const fn mark(&self) -> Mark {
        Mark {
            samples: self.ts_ms.len(),
            histograms: self.histograms.len(),
            exemplars: self.exemplars.len(),
        }
    }

    /// Takes back what was put into the columns since.
    fn roll_back(&mut self, mark: &Mark) {
        self.ts_ms.truncate(mark.samples);
        self.values.truncate(mark.samples);
        self.lives.truncate(mark.samples);
        self.histograms.truncate(mark.histograms);
        self.exemplars.truncate(mark.exemplars);
    }

    /// Makes a series of what was put into the columns since; of nothing, none.
    fn push_series(
        &mut self,
        labels: LabelBytes<'a>,
        mark: &Mark,
        budget: &mut Budget,
    ) -> Result<(), Error> {
        let now = self.mark();
        if now == *mark {
            return Ok(());
        }

        if !self.lives.is_empty() {
            self.fill_lives(budget)?;
        }

        budget.pay(size_of::<Series<'_>>())?;
        self.series.push(mark.series(labels, &now));
        Ok(())
    }

    #[inline]
    fn push_sample(
        &mut self,
        message: &[u8],
        version: Version,
        budget: &mut Budget,
    ) -> Result<(), Error> {
        let mut ts_ms = 0;
        let mut bits = 0;
        let mut life = Life::NONE;
        let mut fields = Fields::new("Sample", message);

        while let Some((number, value)) = fields.next_field()? {
            match (number, value) {
                (1, Value::Fixed64(v)) => bits = v,
                (2, Value::Varint(v)) => ts_ms = v.cast_signed(),
                (3, Value::Varint(v)) if version == Version::Two => life.start_ms = v.cast_signed(),
                (TTL_FIELD, Value::Varint(v)) => life.ttl_ms = v.cast_signed(),
                (1 | 2 | TTL_FIELD, _) => {
                    return Err(fields.refused("a field has the wrong wire type"));
                }
                _ => {}
            }
        }

        self.push_float(ts_ms, f64::from_bits(bits), life, budget)
    }

    #[inline]
    fn push_float(
        &mut self,
        ts_ms: i64,
        value: f64,
        life: Life,
        budget: &mut Budget,
    ) -> Result<(), Error> {
        budget.pay(size_of::<(i64, f64)>())?;
        self.ts_ms.push(ts_ms);
        self.values.push(value);

        if life != Life::NONE {
            self.fill_lives(budget)?;
            if let Some(last) = self.lives.last_mut() {
                *last = life;
            }
        }

        Ok(())
    }

    /// Brings the lives to the length of the samples.
    #[cold]
    fn fill_lives(&mut self, budget: &mut Budget) -> Result<(), Error> {
        budget.pay((self.ts_ms.len() - self.lives.len()) * size_of::<Life>())?;
        self.lives.resize(self.ts_ms.len(), Life::NONE);
        Ok(())
    }

    fn push_histogram(
        &mut self,
        histogram: SentHistogram<'a>,
        budget: &mut Budget,
    ) -> Result<(), Error> {
        budget.pay(size_of::<SentHistogram<'_>>())?;
        self.histograms.push(histogram);
        Ok(())
    }

    fn push_exemplar(
        &mut self,
        exemplar: SentExemplar<'a>,
        budget: &mut Budget,
    ) -> Result<(), Error> {
        budget.pay(size_of::<SentExemplar<'_>>())?;
        self.exemplars.push(exemplar);
        Ok(())
    }

    fn push_metadata(
        &mut self,
        metadata: SentMetadata<'a>,
        budget: &mut Budget,
    ) -> Result<(), Error> {
        budget.pay(size_of::<SentMetadata<'_>>())?;
        self.metadata.push(metadata);
        Ok(())
    }
}

/// How far the columns of a request are filled.
#[derive(Debug, PartialEq, Eq)]
struct Mark {
    samples: usize,
    histograms: usize,
    exemplars: usize,
}

impl Mark {
    /// A series of what stands in the columns between this mark and `end`.
    fn series<'a>(&self, labels: LabelBytes<'a>, end: &Self) -> Series<'a> {
        Series {
            labels,
            samples: place(self.samples)..place(end.samples),
            histograms: place(self.histograms)..place(end.histograms),
            exemplars: place(self.exemplars)..place(end.exemplars),
        }
    }
}

/// What a reference stands for; nothing, where it was refused.
fn symbol<'a>(symbols: &[&'a [u8]], reference: u32) -> &'a [u8] {
    symbols.get(reference as usize).copied().unwrap_or_default()
}

/// A place in a column. The budget of a request is below 2^32 bytes, and so are its columns.
fn place(at: usize) -> u32 {
    u32::try_from(at).expect("a column is bounded by the memory of its request")
}

#[cfg(test)]
mod tests;
