//! Random numbers that are the same on every machine.

/// Splitmix64.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd1b5_4a32_d192_ed03);
        random.bits();
        random
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);

        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`.
    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `[0, end)`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// About normal, of mean 0 and deviation 1: the sum of four uniform numbers.
    pub(super) fn normal(&mut self) -> f64 {
        const SQRT_3: f64 = 1.7320508;

        let a = self.bits();
        let b = self.bits();
        let quarters = [a as u32, (a >> 32) as u32, b as u32, (b >> 32) as u32];
        let sum: f64 = quarters.into_iter().map(f64::from).sum();

        (sum / 4_294_967_296.0 - 2.0) * SQRT_3
    }

    /// The number of events where `mean` are expected.
    pub(super) fn poisson(&mut self, mean: f64) -> u64 {
        if mean <= 0.0 {
            return 0;
        }

        if mean > 30.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
        }

        let limit = (-mean).exp();
        let mut events = 0;
        let mut product = 1.0;

        loop {
            product *= self.unit();
            if product <= limit {
                return events;
            }

            events += 1;
        }
    }

    /// Returns a number between `low` and `high`. Each order of magnitude is equally likely.
    pub(super) fn log_uniform(&mut self, low: f64, high: f64) -> f64 {
        (low.ln() + (high.ln() - low.ln()) * self.unit()).exp()
    }

    /// Letters and digits as in the names of pods.
    pub(super) fn suffix(&mut self, len: usize) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..len)
            .map(|_| char::from(ALPHABET[self.below(ALPHABET.len() as u64) as usize]))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_as_promised() {
        let mut random = Random::new(1);
        let mut mean = |draw: &mut dyn FnMut(&mut Random) -> f64| {
            (0..20_000).map(|_| draw(&mut random)).sum::<f64>() / 20_000.0
        };

        assert!((mean(&mut Random::unit) - 0.5).abs() < 0.01);
        assert!(mean(&mut Random::normal).abs() < 0.03);
        assert!((mean(&mut |r| r.normal().powi(2)) - 1.0).abs() < 0.03);
        assert!((mean(&mut |r| r.poisson(3.0) as f64) - 3.0).abs() < 0.06);
        assert!((mean(&mut |r| r.poisson(300.0) as f64) - 300.0).abs() < 0.6);
    }
}
