//! A decoded request, of either version.

use std::ops::Range;

use duramen_model::{Life, ShownSeries};

use super::exemplar::SentExemplar;
use super::histogram::SentHistogram;
use super::labels::{LabelBytes, LabelPair, LabelText};
use super::limits::Budget;
use super::metadata::SentMetadata;
use super::refused::RefusedSeries;
use super::type_and_unit::{TypeAndUnit, is_replaced};
use super::version::{TTL_FIELD, Version};
use crate::Error;
use crate::wire::{Fields, Value};

/// A request, decoded or built.
#[derive(Debug, Default)]
pub struct WriteRequest<'a> {
    /// The series in the order of the request, without those that have no samples, histograms and
    /// exemplars. One label set may occur several times.
    pub series: Vec<Series<'a>>,
    /// The samples of all series, one after the other: times in milliseconds and values bit for
    /// bit.
    pub ts_ms: Vec<i64>,
    pub values: Vec<f64>,
    /// One element for each sample, or empty when no sample has a start time or life span.
    pub lives: Vec<Life>,
    pub histograms: Vec<SentHistogram<'a>>,
    pub exemplars: Vec<SentExemplar<'a>>,
    /// The metadata in the order of the request. One family may occur several times, with different
    /// contents.
    pub metadata: Vec<SentMetadata<'a>>,
    /// The series and exemplars that were left out; only 2.0 has any.
    pub refused: Vec<RefusedSeries<'a>>,
    pub(super) text: LabelText<'a>,
    /// One element for each series if [`TypeAndUnitLabels`] come from metadata, otherwise empty.
    pub(super) types_and_units: Vec<Option<TypeAndUnit>>,
}

/// One time series of a request, as ranges of the request's columns.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    pub(super) labels: LabelBytes<'a>,
    pub(super) samples: Range<u32>,
    pub(super) histograms: Range<u32>,
    pub(super) exemplars: Range<u32>,
}

impl Series<'_> {
    /// The positions of its samples in the request's columns.
    #[inline]
    pub const fn samples(&self) -> Range<usize> {
        self.samples.start as usize..self.samples.end as usize
    }

    /// The positions of its histograms in the request.
    #[inline]
    pub const fn histograms(&self) -> Range<usize> {
        self.histograms.start as usize..self.histograms.end as usize
    }

    /// The positions of its exemplars in the request.
    #[inline]
    pub const fn exemplars(&self) -> Range<usize> {
        self.exemplars.start as usize..self.exemplars.end as usize
    }
}

impl<'a> WriteRequest<'a> {
    /// The number of labels of the series at `at`, including repeated and empty ones: as many as
    /// [`WriteRequest::labels`] returns.
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

    /// The labels of the series at `at` in the order sent, then its type and unit if they become
    /// labels. The labels may be invalid UTF-8, unsorted or repeated.
    pub fn labels(&self, at: usize) -> Result<Vec<LabelPair<'a>>, Error> {
        let mut pairs = self.pairs(&self.series[at].labels)?;
        if let (Some(known), LabelText::Symbols(symbols)) = (self.type_and_unit(at), &self.text) {
            pairs.retain(|(name, _)| !is_replaced(name));
            pairs.extend(known.labels(symbols));
        }

        Ok(pairs)
    }

    /// The type and unit that replace labels of the series at `at`.
    #[inline]
    pub(super) fn type_and_unit(&self, at: usize) -> Option<TypeAndUnit> {
        self.types_and_units.get(at).copied().flatten()
    }

    /// How many labels an exemplar has.
    pub const fn exemplar_labels_count(&self, exemplar: &SentExemplar<'a>) -> usize {
        exemplar.labels.count as usize
    }

    /// The labels of an exemplar of this request. The rules of [`WriteRequest::labels`] apply.
    pub fn exemplar_labels(
        &self,
        exemplar: &SentExemplar<'a>,
    ) -> Result<Vec<LabelPair<'a>>, Error> {
        self.pairs(&exemplar.labels)
    }

    /// The series at `at` as it was sent, for an error.
    pub fn show(&self, at: usize) -> ShownSeries {
        self.show_labels(&self.series[at].labels)
    }

    /// The series of a refused part as it was sent, for an error. A reference without a symbol is
    /// shown as `?`.
    pub fn show_refused(&self, refused: &RefusedSeries<'a>) -> ShownSeries {
        self.show_labels(&refused.labels)
    }

    /// Takes no memory for the labels themselves, because there may be millions of them.
    fn show_labels(&self, labels: &LabelBytes<'a>) -> ShownSeries {
        let mut shown = ShownSeries::default();

        // Labels that cannot be read are reported elsewhere. The labels before the fault are shown.
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

    /// Makes room for so many series with one sample each.
    pub(super) fn reserve(&mut self, series: usize) {
        self.series.reserve(series);
        self.ts_ms.reserve(series);
        self.values.reserve(series);
    }

    /// The present lengths of the columns.
    #[inline]
    pub(super) const fn mark(&self) -> Mark {
        Mark {
            samples: self.ts_ms.len(),
            histograms: self.histograms.len(),
            exemplars: self.exemplars.len(),
        }
    }

    /// Removes what was put into the columns since `mark`.
    pub(super) fn roll_back(&mut self, mark: &Mark) {
        self.ts_ms.truncate(mark.samples);
        self.values.truncate(mark.samples);
        self.lives.truncate(mark.samples);
        self.histograms.truncate(mark.histograms);
        self.exemplars.truncate(mark.exemplars);
    }

    /// Adds a series of what was put into the columns since `mark`. It adds none if nothing was put
    /// there.
    #[inline]
    pub(super) fn push_series(
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
    pub(super) fn push_sample(
        &mut self,
        message: &[u8],
        version: Version,
        budget: &mut Budget,
    ) -> Result<(), Error> {
        if let Some((ts_ms, bits)) = plain_sample(message) {
            return self.push_float(ts_ms, f64::from_bits(bits), Life::NONE, budget);
        }

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
    pub(super) fn push_float(
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

    /// Fills `lives` up to the length of the samples.
    #[cold]
    pub(super) fn fill_lives(&mut self, budget: &mut Budget) -> Result<(), Error> {
        budget.pay((self.ts_ms.len() - self.lives.len()) * size_of::<Life>())?;
        self.lives.resize(self.ts_ms.len(), Life::NONE);
        Ok(())
    }

    pub(super) fn push_histogram(
        &mut self,
        histogram: SentHistogram<'a>,
        budget: &mut Budget,
    ) -> Result<(), Error> {
        budget.pay(size_of::<SentHistogram<'_>>())?;
        self.histograms.push(histogram);
        Ok(())
    }

    pub(super) fn push_exemplar(
        &mut self,
        exemplar: SentExemplar<'a>,
        budget: &mut Budget,
    ) -> Result<(), Error> {
        budget.pay(size_of::<SentExemplar<'_>>())?;
        self.exemplars.push(exemplar);
        Ok(())
    }

    pub(super) fn push_metadata(
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
pub(super) struct Mark {
    pub(super) samples: usize,
    pub(super) histograms: usize,
    pub(super) exemplars: usize,
}

impl Mark {
    /// The series of what is in the columns between this mark and `end`.
    #[inline]
    pub(super) fn series<'a>(&self, labels: LabelBytes<'a>, end: &Self) -> Series<'a> {
        Series {
            labels,
            samples: place(self.samples)..place(end.samples),
            histograms: place(self.histograms)..place(end.histograms),
            exemplars: place(self.exemplars)..place(end.exemplars),
        }
    }
}

/// Reads the message of a sample as senders write it: the value unless it is zero, and then a time
/// between 1971 and 2109, which takes six bytes. Any other message gives `None`.
#[inline]
fn plain_sample(message: &[u8]) -> Option<(i64, u64)> {
    const VALUE: u8 = 1 << 3 | 1;
    const TIME: u8 = 2 << 3;

    let (bits, time) = match message.split_first_chunk::<9>() {
        Some(([VALUE, value @ ..], time)) => (u64::from_le_bytes(*value), time),
        _ => (0, message),
    };
    let [TIME, a, b, c, d, e, f] = *time else {
        return None;
    };

    let has_six_bytes = a & b & c & d & e >= 0x80 && f < 0x80;
    let low = [a, b, c, d, e, f]
        .into_iter()
        .rev()
        .fold(0, |ts_ms, byte| ts_ms << 7 | i64::from(byte & 0x7f));

    has_six_bytes.then_some((low, bits))
}

/// The symbol of a reference; empty for a reference that was refused.
pub(super) fn symbol<'a>(symbols: &[&'a [u8]], reference: u32) -> &'a [u8] {
    symbols.get(reference as usize).copied().unwrap_or_default()
}

/// A position in a column. It fits in 32 bits, because the budget of a request is below 2^32 bytes.
#[inline]
pub(super) fn place(at: usize) -> u32 {
    u32::try_from(at).expect("a column is bounded by the memory of its request")
}
