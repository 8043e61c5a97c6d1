//! All rejections of one request.

use std::fmt;

use duramen_model::ShownSeries;

use super::cause::{Rejection, joint};
use super::reason::Reason;

/// The number of texts for one request. Further reasons are only counted.
const TEXTS_MAX: usize = 10;

/// How much was rejected, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Floats.
    pub samples: usize,
    pub histograms: usize,
    pub exemplars: usize,
    /// Metric families whose metadata was rejected.
    pub families: usize,
    /// Series without samples, histograms and exemplars.
    pub empty_series: usize,
}

impl Lost {
    pub(crate) const SAMPLE: Self = Self {
        samples: 1,
        ..Self::NOTHING
    };
    pub(crate) const HISTOGRAM: Self = Self {
        histograms: 1,
        ..Self::NOTHING
    };
    pub(crate) const EXEMPLAR: Self = Self {
        exemplars: 1,
        ..Self::NOTHING
    };
    pub(crate) const FAMILY: Self = Self {
        families: 1,
        ..Self::NOTHING
    };
    const NOTHING: Self = Self {
        samples: 0,
        histograms: 0,
        exemplars: 0,
        families: 0,
        empty_series: 0,
    };

    /// Counts a whole series with everything in it.
    pub(crate) const fn series(samples: usize, histograms: usize, exemplars: usize) -> Self {
        let is_empty = samples == 0 && histograms == 0 && exemplars == 0;
        Self {
            samples,
            histograms,
            exemplars,
            families: 0,
            empty_series: is_empty as usize,
        }
    }

    /// Returns the sum; an empty series counts as one.
    pub const fn total(&self) -> usize {
        self.samples + self.histograms + self.exemplars + self.families + self.empty_series
    }

    const fn add(&mut self, more: Self) {
        self.samples += more.samples;
        self.histograms += more.histograms;
        self.exemplars += more.exemplars;
        self.families += more.families;
        self.empty_series += more.empty_series;
    }
}

/// Writes a text like `2 samples and 1 histogram`.
impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.samples, "sample", "samples"),
            (self.histograms, "histogram", "histograms"),
            (self.exemplars, "exemplar", "exemplars"),
            (self.families, "metric family", "metric families"),
            (
                self.empty_series,
                "series without samples",
                "series without samples",
            ),
        ];

        let mut left = parts.iter().filter(|(count, ..)| *count > 0).count();
        if left == 0 {
            return f.write_str("nothing");
        }

        for (count, one, many) in parts.into_iter().filter(|(count, ..)| *count > 0) {
            left -= 1;

            let joint = match left {
                0 => "",
                1 => " and ",
                _ => ", ",
            };

            write!(f, "{count} {}{joint}", if count == 1 { one } else { many })?;
        }

        Ok(())
    }
}

/// The rejections of a request: how much was rejected, counts by reason, and a text for the first
/// case of each reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejections {
    lost: Lost,
    counts: Vec<(Reason, usize)>,
    texts: Vec<String>,
}

impl Rejections {
    /// Adds a rejection. `describe` is called only for the first case of a reason.
    pub(crate) fn add(&mut self, reason: Reason, lost: Lost, describe: impl FnOnce() -> String) {
        self.lost.add(lost);

        let count = lost.total();
        if let Some((_, total)) = self.counts.iter_mut().find(|(known, _)| *known == reason) {
            *total += count;
            return;
        }

        self.counts.push((reason, count));
        if self.texts.len() < TEXTS_MAX {
            self.texts.push(describe());
        }
    }

    /// Adds a rejection like [`Rejections::add`], with its series in the text. `series` is called
    /// only if the text is needed.
    pub(crate) fn add_of(
        &mut self,
        rejection: &Rejection,
        lost: Lost,
        series: impl FnOnce() -> ShownSeries,
    ) {
        self.add(rejection.reason(), lost, || {
            let text = rejection.to_string();
            format!("{text}{}series=`{}`", joint(&text), series())
        });
    }

    pub const fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    pub fn counts(&self) -> &[(Reason, usize)] {
        &self.counts
    }

    /// Returns how much was rejected.
    pub const fn lost(&self) -> Lost {
        self.lost
    }

    /// Returns a text for the first case of each reason, one line each. There are at most ten, even
    /// if there are more reasons.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }
}

impl fmt::Display for Rejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for text in &self.texts {
            writeln!(f, "{text}")?;
        }

        write!(f, "rejected {}:", self.lost)?;
        for (reason, count) in &self.counts {
            write!(f, " {}={count}", reason.as_str())?;
        }

        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_is_counted_by_what_it_is() {
        for (lost, expected) in [
            (Lost::default(), "nothing"),
            (Lost::SAMPLE, "1 sample"),
            (Lost::FAMILY, "1 metric family"),
            (Lost::series(0, 0, 0), "1 series without samples"),
            (Lost::series(0, 2, 1), "2 histograms and 1 exemplar"),
            (
                Lost {
                    families: 2,
                    ..Lost::series(3, 1, 2)
                },
                "3 samples, 1 histogram, 2 exemplars and 2 metric families",
            ),
        ] {
            assert_eq!(lost.to_string(), expected);
        }
    }

    #[test]
    fn the_first_case_of_each_reason_is_told_and_all_are_counted() {
        let mut rejections = Rejections::default();
        rejections.add(Reason::TooOld, Lost::series(2, 0, 0), || "a".to_owned());
        rejections.add(Reason::SeriesLimit, Lost::HISTOGRAM, || "b".to_owned());
        rejections.add(Reason::TooOld, Lost::series(3, 0, 0), || unreachable!());

        assert_eq!(
            rejections.to_string(),
            "a\nb\nrejected 5 samples and 1 histogram: too_old=5 series_limit=1"
        );

        for reason in Reason::ALL {
            rejections.add(reason, Lost::SAMPLE, || reason.as_str().to_owned());
        }

        assert_eq!(rejections.texts().len(), TEXTS_MAX);
        assert_eq!(rejections.counts().len(), Reason::ALL.len());
    }
}
