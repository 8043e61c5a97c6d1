//! The count of duplicates: samples of replicas that are not elected.

/// How much of a request came from replicas that are not elected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Duplicates {
    /// Floats.
    pub samples: usize,
    pub histograms: usize,
    pub exemplars: usize,
}

impl Duplicates {
    /// Returns the number of floats, histograms and exemplars together.
    pub(crate) const fn all(self) -> usize {
        self.samples + self.histograms + self.exemplars
    }

    pub(crate) const fn add(&mut self, more: Self) {
        self.samples += more.samples;
        self.histograms += more.histograms;
        self.exemplars += more.exemplars;
    }
}
