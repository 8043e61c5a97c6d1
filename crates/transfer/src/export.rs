//! Reads a source and puts its series into a form.

use std::sync::Arc;

use duramen_model::{Exemplar, Labels, Matcher, TimeRange};
use duramen_source::{
    Columns, HistogramRef, Reads, SeriesBatch, SeriesExemplars, SeriesRequest, SeriesSource,
};
use futures::TryStreamExt;

use crate::error::Error;
use crate::form::{Form, SeriesRows, Written};
use crate::window;

/// What is exported.
#[derive(Debug)]
pub struct Export {
    pub source: Arc<dyn SeriesSource>,
    pub matchers: Arc<[Matcher]>,
    pub range: TimeRange,
    /// The times of what the source holds. Outside of them nothing is asked for.
    pub held: Vec<TimeRange>,
    /// The series of a batch. Fewer take less memory, and more requests.
    pub batch_series_max: usize,
    pub reads: Arc<Reads>,
}

/// How far an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub window: usize,
    pub windows: usize,
    pub written: Written,
}

impl Export {
    /// Reads everything, and completes the form. `progress` is called after each batch.
    ///
    /// Requests: those of one selection for each day that has data, or of one selection for a form
    /// that wants whole series; and, if the form wants them, those of metadata, of the names of
    /// labels, and of exemplars for each selection. Memory: one batch while the next is read, what
    /// the form holds, and the exemplars of a selection.
    pub async fn run(
        &self,
        form: Box<dyn Form>,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<Written, Error> {
        let wants = form.wants();
        let windows = if wants.whole_series {
            Vec::from_iter(window::span(&self.held, self.range))
        } else {
            window::days(&self.held, self.range)?
        };

        let names = match window::span(&self.held, self.range) {
            Some(span) if wants.label_names => {
                let names = self.source.label_names(&self.request(span)).await?;
                names.into_iter().collect()
            }
            _ => Vec::new(),
        };

        let families = if wants.families {
            self.source.metadata().await?
        } else {
            Vec::new()
        };

        let mut form = blocking(move || {
            let mut form = form;
            form.begin(names, families)?;
            Ok(form)
        })
        .await?;

        for (number, window) in (1..).zip(&windows) {
            form = self
                .window(form, *window, &mut |written| {
                    progress(Progress {
                        window: number,
                        windows: windows.len(),
                        written,
                    });
                })
                .await?;
        }

        blocking(move || form.finish()).await
    }

    fn request(&self, range: TimeRange) -> SeriesRequest {
        SeriesRequest {
            matchers: Arc::clone(&self.matchers),
            range,
            columns: Columns::Samples,
            batch_series_max: self.batch_series_max,
            reads: Arc::clone(&self.reads),
        }
    }

    /// Puts the series of one window into the form.
    async fn window(
        &self,
        mut form: Box<dyn Form>,
        window: TimeRange,
        progress: &mut (dyn FnMut(Written) + Send),
    ) -> Result<Box<dyn Form>, Error> {
        let request = self.request(window);

        let exemplars = if form.wants().exemplars {
            self.source.exemplars(&request).await?
        } else {
            Vec::new()
        };

        let mut exemplars = Exemplars::of(exemplars, window);
        let mut batches = self.source.select(&request).await?;
        let mut next = batches.try_next().await?;
        form.window(window)?;

        while let Some(batch) = next {
            let writing = blocking(move || {
                put(&mut *form, &batch, window, &mut exemplars)?;
                Ok((form, exemplars))
            });

            // The next batch is read while this one is written.
            let (written, read) = futures::join!(writing, batches.try_next());
            (form, exemplars) = written?;
            next = read?;
            progress(form.written());
        }

        Ok(form)
    }
}

/// Runs work that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Error::Stopped)?
}

/// The exemplars of the series that are still to come.
struct Exemplars {
    /// The next one is the last.
    waiting: Vec<SeriesExemplars>,
    window: TimeRange,
}

impl Exemplars {
    fn of(mut all: Vec<SeriesExemplars>, window: TimeRange) -> Self {
        all.reverse();
        Self {
            waiting: all,
            window,
        }
    }

    /// Takes those of a series. Series that came before it have no rows.
    fn take(&mut self, labels: &Labels) -> Vec<Exemplar> {
        while let Some(next) = self.waiting.pop() {
            match next.labels.cmp_in_block(labels) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => {
                    let mut exemplars = next.exemplars;
                    exemplars.retain(|exemplar| self.window.contains(exemplar.ts_ms));
                    return exemplars;
                }
                std::cmp::Ordering::Greater => {
                    self.waiting.push(next);
                    break;
                }
            }
        }

        Vec::new()
    }
}

/// Puts the rows of a batch that are in the window.
fn put(
    form: &mut dyn Form,
    batch: &SeriesBatch,
    window: TimeRange,
    exemplars: &mut Exemplars,
) -> Result<(), Error> {
    for row in 0..batch.len() {
        let labels = Labels::from_encoded_trusted(batch.labels_at(row));
        let (ts_ms, values) = batch.samples_at(row);
        let start = ts_ms.partition_point(|ts_ms| *ts_ms < window.start_ms());
        let end = ts_ms.partition_point(|ts_ms| *ts_ms < window.end_ms());

        let histograms: Vec<HistogramRef<'_>> = batch
            .histograms_at(row)
            .filter(|histogram| window.contains(histogram.ts_ms))
            .collect();

        if start == end && histograms.is_empty() {
            continue;
        }

        let exemplars = exemplars.take(&labels);
        form.put(&SeriesRows {
            labels,
            ts_ms: &ts_ms[start..end],
            values: &values[start..end],
            histograms: &histograms,
            exemplars: &exemplars,
        })?;
    }

    Ok(())
}
