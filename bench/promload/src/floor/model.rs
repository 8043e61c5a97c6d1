//! Adaptive models of integer streams: what an ideal arithmetic coder would spend, in fractional
//! bits.

/// Classes of residuals: small ones each, then two per power of two.
const SYMBOLS: usize = 160;
/// Residuals below this, zigzagged, have a class each.
const SINGLE_SYMBOLS: u64 = 24;
/// Weight of a class not seen yet, and how many such classes are assumed.
const UNSEEN_WEIGHT: f32 = 0.03;
const UNSEEN_CLASSES: f32 = 64.0;
/// Counts are halved beyond this, so that the model follows the data.
const COUNT_MAX: f32 = 2000.0;
const CONTEXTS: usize = 4;

/// Frequencies of the classes, by the size of the residual before.
#[derive(Clone)]
pub(super) struct Frequencies {
    counts: Vec<[f32; SYMBOLS]>,
    totals: [f32; CONTEXTS],
}

impl Frequencies {
    pub(super) fn new() -> Self {
        Self {
            counts: vec![[0.0; SYMBOLS]; CONTEXTS],
            totals: [0.0; CONTEXTS],
        }
    }

    fn probability(&self, context: usize, symbol: usize) -> f32 {
        (self.counts[context][symbol] + UNSEEN_WEIGHT)
            / (self.totals[context] + UNSEEN_WEIGHT * UNSEEN_CLASSES)
    }

    fn add(&mut self, context: usize, symbol: usize) {
        self.counts[context][symbol] += 1.0;
        self.totals[context] += 1.0;

        if self.totals[context] > COUNT_MAX {
            self.counts[context]
                .iter_mut()
                .for_each(|count| *count *= 0.5);
            self.totals[context] *= 0.5;
        }
    }
}

/// A Bayesian mix of a series' own frequencies and those shared by its metric: what an ideal coder
/// with a dictionary per metric could do.
struct Mix<'a> {
    own: Frequencies,
    family: &'a mut Frequencies,
    weights: [f32; 2],
    context: usize,
    bits: f64,
}

impl<'a> Mix<'a> {
    fn new(family: &'a mut Frequencies) -> Self {
        Self {
            own: Frequencies::new(),
            family,
            weights: [0.5, 0.5],
            context: 0,
            bits: 0.0,
        }
    }

    fn put(&mut self, residual: i64) {
        let zigzag = ((residual << 1) ^ (residual >> 63)) as u64;
        let (symbol, raw_bits) = class(zigzag);
        let own = self.weights[0] * self.own.probability(self.context, symbol);
        let family = self.weights[1] * self.family.probability(self.context, symbol);
        let probability = own + family;

        self.bits += raw_bits as f64 - f64::from(probability).log2();

        let own = (own / probability).max(0.005);
        let family = (family / probability).max(0.005);
        self.weights = [own / (own + family), family / (own + family)];
        self.own.add(self.context, symbol);
        self.family.add(self.context, symbol);

        self.context = match zigzag {
            0 => 0,
            1..=4 => 1,
            5..=40 => 2,
            _ => 3,
        };
    }
}

/// The class of a residual and the bits that its class leaves open.
fn class(zigzag: u64) -> (usize, usize) {
    if zigzag < SINGLE_SYMBOLS {
        return (zigzag as usize, 0);
    }

    let log2 = 63 - zigzag.leading_zeros() as usize;
    let half = (zigzag >> (log2 - 1)) & 1;
    (
        SINGLE_SYMBOLS as usize + (log2 - 4) * 2 + half as usize,
        log2 - 1,
    )
}

/// Bits of a stream of residuals, the cost of learning included. `family` learns from it.
pub(super) fn cost(family: &mut Frequencies, residuals: impl IntoIterator<Item = i64>) -> f64 {
    let mut mix = Mix::new(family);
    residuals.into_iter().for_each(|residual| mix.put(residual));
    mix.bits
}

/// Bits of values as XOR with the one before: the number of leading zeros by the model, the bits in
/// use raw.
pub(super) fn xor_cost(family: &mut Frequencies, values: &[f64]) -> f64 {
    let mut mix = Mix::new(family);
    let mut last = 0;
    let mut raw_bits = 0;

    for value in values {
        let xor = value.to_bits() ^ std::mem::replace(&mut last, value.to_bits());
        if xor == 0 {
            mix.put(0);
            continue;
        }

        let leading = u64::from(xor.leading_zeros());
        let trailing = u64::from(xor.trailing_zeros());
        mix.put(1 + leading as i64);

        raw_bits += if trailing >= 8 {
            64 - leading - trailing + 3
        } else {
            63 - leading
        };
    }

    mix.bits + raw_bits as f64
}

/// The values from which the next value is guessed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Predictor {
    First,
    Last,
    /// The last value and the last step.
    Line,
    /// The last value and a slow mean of the steps.
    Trend,
}

impl Predictor {
    pub(super) const ALL: [Self; 4] = [Self::First, Self::Last, Self::Line, Self::Trend];
}

/// The difference between each value and its guess.
pub(super) fn residuals(values: &[i64], predictor: Predictor) -> Vec<i64> {
    let mut last = 0i64;
    let mut step = 0i64;
    let mut trend = 0f64;
    let mut out = Vec::with_capacity(values.len());

    for (i, &value) in values.iter().enumerate() {
        out.push(match predictor {
            Predictor::First => value.wrapping_sub(values[0]),
            Predictor::Last => value.wrapping_sub(last),
            Predictor::Line => value.wrapping_sub(last).wrapping_sub(step),
            Predictor::Trend => value.wrapping_sub(last).wrapping_sub(trend.round() as i64),
        });

        step = value.wrapping_sub(last);
        trend += match i {
            0 => 0.0,
            1 => step as f64 - trend,
            _ => (step as f64 - trend) * 0.1,
        };

        last = value;
    }

    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_in_range_and_in_order() {
        let mut last = 0;

        for shift in 0..64 {
            for value in [1u64 << shift, (1 << shift) | (1 << shift >> 1)] {
                let (symbol, _) = class(value);
                assert!(symbol >= last && symbol < SYMBOLS, "value={value}");

                last = symbol;
            }
        }
    }

    #[test]
    fn a_line_costs_next_to_nothing_under_the_right_predictor() {
        let line: Vec<i64> = (0..1000).map(|i| i * 12_345).collect();
        let bits = |predictor| cost(&mut Frequencies::new(), residuals(&line, predictor));

        assert!(bits(Predictor::Line) < 100.0);
        assert!(bits(Predictor::First) > 5_000.0);
    }
}
