//! Builds requests for other protocols, series by series, with the same limits as decoded requests.

use duramen_model::{Histogram, Life, MetricType};

use super::labels::{LabelBytes, LabelPair, LabelText};
use super::limits::{Budget, WriteLimits};
use super::request::{Mark, place};
use super::{SentExemplar, SentHistogram, SentMetadata, Series, WriteRequest};
use crate::Error;

/// Builds a [`WriteRequest`] without a message.
///
/// Text and histograms are borrowed, and samples are copied into the columns of the request. The
/// builder does not check labels, histograms and times. Admission checks them, as it does for
/// decoded requests.
///
/// Every method fails with [`Error::TooMuchMemory`] when the request exceeds its limits. The
/// request is then incomplete, and the builder must be dropped.
#[derive(Debug)]
pub struct WriteRequestBuilder<'a> {
    request: WriteRequest<'a>,
    pairs: Vec<LabelPair<'a>>,
    budget: Budget,
}

/// The series that is being built. It ends when this is dropped. A series without any data is left
/// out.
#[derive(Debug)]
pub struct SeriesBuilder<'b, 'a> {
    builder: &'b mut WriteRequestBuilder<'a>,
    labels: LabelBytes<'a>,
    mark: Mark,
}

impl<'a> WriteRequestBuilder<'a> {
    pub fn new(limits: &WriteLimits) -> Self {
        Self {
            request: WriteRequest::default(),
            pairs: Vec::new(),
            budget: Budget::new(limits),
        }
    }

    /// Begins a series. The labels may come in any order and include the metric name as `__name__`.
    pub fn series(
        &mut self,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<SeriesBuilder<'_, 'a>, Error> {
        self.budget.pay(size_of::<Series<'_>>())?;

        let labels = self.push_labels(labels)?;
        let mark = self.request.mark();

        Ok(SeriesBuilder {
            builder: self,
            labels,
            mark,
        })
    }

    /// Adds the metadata of a metric family.
    pub fn metadata(
        &mut self,
        family: &'a str,
        kind: MetricType,
        help: &'a str,
        unit: &'a str,
    ) -> Result<(), Error> {
        let metadata = SentMetadata {
            family: family.as_bytes(),
            kind,
            help: help.as_bytes(),
            unit: unit.as_bytes(),
        };

        self.request.push_metadata(metadata, &mut self.budget)
    }

    pub fn finish(self) -> WriteRequest<'a> {
        WriteRequest {
            text: LabelText::Pairs(self.pairs),
            ..self.request
        }
    }

    fn push_labels(
        &mut self,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<LabelBytes<'a>, Error> {
        let first = place(self.pairs.len());

        for (name, value) in labels {
            self.budget.pay(size_of::<LabelPair<'_>>())?;
            self.pairs.push((name.as_bytes(), value.as_bytes()));
        }

        Ok(LabelBytes::of_pairs(first..place(self.pairs.len())))
    }
}

impl<'a> SeriesBuilder<'_, 'a> {
    pub fn float(&mut self, ts_ms: i64, value: f64, life: Life) -> Result<&mut Self, Error> {
        let WriteRequestBuilder {
            request, budget, ..
        } = &mut *self.builder;
        request.push_float(ts_ms, value, life, budget)?;

        if !request.lives.is_empty() {
            request.fill_lives(budget)?;
        }

        Ok(self)
    }

    pub fn histogram(
        &mut self,
        ts_ms: i64,
        histogram: &'a Histogram,
        life: Life,
    ) -> Result<&mut Self, Error> {
        let WriteRequestBuilder {
            request, budget, ..
        } = &mut *self.builder;

        request.push_histogram(SentHistogram::built(ts_ms, life, histogram), budget)?;
        Ok(self)
    }

    pub fn exemplar(
        &mut self,
        ts_ms: i64,
        value: f64,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<&mut Self, Error> {
        let exemplar = SentExemplar {
            ts_ms,
            value,
            labels: self.builder.push_labels(labels)?,
        };

        let WriteRequestBuilder {
            request, budget, ..
        } = &mut *self.builder;

        request.push_exemplar(exemplar, budget)?;
        Ok(self)
    }
}

impl Drop for SeriesBuilder<'_, '_> {
    fn drop(&mut self) {
        let request = &mut self.builder.request;
        let now = request.mark();

        if now != self.mark {
            request.series.push(self.mark.series(self.labels, &now));
        }
    }
}
