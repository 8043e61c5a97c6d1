//! A set of series, by their numbers.

/// A bit for each series.
pub(crate) struct Set {
    words: Vec<u64>,
}

impl Set {
    pub(crate) fn none(length: usize) -> Self {
        Self {
            words: vec![0; length.div_ceil(64)],
        }
    }

    pub(crate) fn full(length: usize) -> Self {
        let mut words = vec![u64::MAX; length.div_ceil(64)];
        if let (Some(last), rest @ 1..) = (words.last_mut(), length % 64) {
            *last = (1 << rest) - 1;
        }

        Self { words }
    }

    pub(crate) fn insert(&mut self, series: &[u32]) {
        for series in series {
            self.words[*series as usize / 64] |= 1 << (series % 64);
        }
    }

    pub(crate) fn retain(&mut self, others: &Self) {
        self.words
            .iter_mut()
            .zip(&others.words)
            .for_each(|(word, other)| *word &= other);
    }

    pub(crate) fn remove(&mut self, others: &Self) {
        self.words
            .iter_mut()
            .zip(&others.words)
            .for_each(|(word, other)| *word &= !other);
    }

    /// Returns the series in the set, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        (0u32..).zip(&self.words).flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(at * 64 + bit)
            })
        })
    }

    /// Whether any of `series` is in the set.
    pub(crate) fn has_any(&self, series: &[u32]) -> bool {
        series
            .iter()
            .any(|series| self.words[*series as usize / 64] >> (series % 64) & 1 == 1)
    }
}
