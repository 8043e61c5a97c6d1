//! How long requests took.

/// Latencies in milliseconds, in order of size.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<f64>);

impl Latencies {
    pub(crate) fn new(mut ms: Vec<f64>) -> Self {
        ms.sort_by(f64::total_cmp);
        Self(ms)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The nearest measured value; NaN when nothing was measured. 0 is the smallest, 1 the largest.
    pub(crate) fn quantile(&self, q: f64) -> f64 {
        let at = (self.0.len().saturating_sub(1) as f64 * q).round() as usize;
        self.0.get(at).copied().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_measured_values() {
        let latencies = Latencies::new(vec![3.0, 1.0, 2.0]);
        assert_eq!(
            [0.0, 0.5, 1.0].map(|q| latencies.quantile(q)),
            [1.0, 2.0, 3.0]
        );

        assert!(Latencies::default().quantile(0.5).is_nan());
    }
}
