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
    pub(super) text: LabelText<'a>,
    /// One for each series where [`TypeAndUnitLabels`] come from metadata, else empty.
    pub(super) types_and_units: Vec<Option<TypeAndUnit>>,
}

/// One time series of a request, as places in the columns of the request.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    pub(super) labels: LabelBytes<'a>,
    pub(super) samples: Range<u32>,
    pub(super) histograms: Range<u32>,
    pub(super) exemplars: Range<u32>,
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

impl<'a> WriteRequest<'a> {
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
    pub(super) fn type_and_unit(&self, at: usize) -> Option<TypeAndUnit> {
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
    pub(super) const fn mark(&self) -> Mark {
        Mark {
            samples: self.ts_ms.len(),
            histograms: self.histograms.len(),
            exemplars: self.exemplars.len(),
        }
    }

    /// Takes back what was put into the columns since.
    pub(super) fn roll_back(&mut self, mark: &Mark) {
        self.ts_ms.truncate(mark.samples);
        self.values.truncate(mark.samples);
        self.lives.truncate(mark.samples);
        self.histograms.truncate(mark.histograms);
        self.exemplars.truncate(mark.exemplars);
    }

    /// Makes a series of what was put into the columns since; of nothing, none.
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

    /// Brings the lives to the length of the samples.
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
    /// A series of what stands in the columns between this mark and `end`.
    pub(super) fn series<'a>(&self, labels: LabelBytes<'a>, end: &Self) -> Series<'a> {
        Series {
            labels,
            samples: place(self.samples)..place(end.samples),
            histograms: place(self.histograms)..place(end.histograms),
            exemplars: place(self.exemplars)..place(end.exemplars),
        }
    }
}

/// What a reference stands for; nothing, where it was refused.
pub(super) fn symbol<'a>(symbols: &[&'a [u8]], reference: u32) -> &'a [u8] {
    symbols.get(reference as usize).copied().unwrap_or_default()
}

/// A place in a column. The budget of a request is below 2^32 bytes, and so are its columns.
pub(super) fn place(at: usize) -> u32 {
    u32::try_from(at).expect("a column is bounded by the memory of its request")
}
