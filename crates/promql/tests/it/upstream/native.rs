//! Random native histograms as scripts write them.

use std::fmt::Write as _;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// A histogram that grows.
pub(super) struct Native {
    schema: i32,
    custom: Vec<f64>,
    width: f64,
    zero: f64,
    positive: Vec<f64>,
    offset: i32,
    negative: Vec<f64>,
    negative_offset: i32,
    sum: f64,
    hint: &'static str,
    /// Added to the count that fits the buckets.
    odd: f64,
}

impl Native {
    /// Returns a sequence of histograms, mostly as one counter, with resets and changes of layout
    /// between them.
    pub(super) fn sequence(random: &mut StdRng, custom: bool, length: usize) -> Vec<String> {
        let mut native = Self::new(random, custom);
        let restless = random.random_range(0..3) == 0;
        let fractions = random.random_range(0..3) == 0;
        let mut items = Vec::new();

        for _ in 0..length {
            if random.random_range(0..100) < if restless { 25 } else { 3 } {
                native = Self::new(random, custom);
            }

            native.observe(random, fractions);
            items.push(native.text());
        }

        items
    }

    fn new(random: &mut StdRng, custom: bool) -> Self {
        let bounds: [&[f64]; 5] = [
            &[0.5, 1.0, 2.5],
            &[0.5, 1.0, 2.5],
            &[1.0, 2.0, 5.0, 10.0],
            &[-1.0, 0.0, 1.0],
            &[5.0],
        ];

        let custom_values = if custom {
            bounds.choose(random).copied().unwrap_or_default().to_vec()
        } else {
            Vec::new()
        };

        let negative = if custom {
            0
        } else {
            [0, 0, 1, 3].choose(random).copied().unwrap_or(0)
        };

        let positive = if custom {
            custom_values.len() + 1
        } else {
            random.random_range(0..5)
        };

        let schema = if custom {
            -53
        } else {
            [0, 0, 0, 1, 2, -1, 3, -4, 8]
                .choose(random)
                .copied()
                .unwrap_or(0)
        };

        let width = if custom {
            0.0
        } else {
            [0.0, 0.001, 0.001, 0.5, 2.0]
                .choose(random)
                .copied()
                .unwrap_or(0.0)
        };

        // The first bucket outside of the zero bucket.
        let first = if width > 0.0 {
            (f64::log2(width) * f64::powi(2.0, schema)).ceil() as i32 + 1
        } else {
            -4
        };

        Self {
            schema,
            custom: custom_values,
            width,
            zero: 0.0,
            positive: vec![0.0; positive],
            offset: if custom {
                0
            } else {
                first.max([0, 0, 1, -3, 5].choose(random).copied().unwrap_or(0))
            },
            negative: vec![0.0; negative],
            negative_offset: first.max(random.random_range(-2..3)),
            sum: 0.0,
            hint: [
                " counter_reset_hint:gauge",
                " counter_reset_hint:reset",
                " counter_reset_hint:not_reset",
                "",
                "",
                "",
                "",
                "",
            ]
            .choose(random)
            .copied()
            .unwrap_or(""),
            odd: if random.random_range(0..20) == 0 {
                1.0
            } else {
                0.0
            },
        }
    }

    fn observe(&mut self, random: &mut StdRng, fractions: bool) {
        let zero = (self.schema != -53).then_some(&mut self.zero);
        for count in self
            .positive
            .iter_mut()
            .chain(&mut self.negative)
            .chain(zero)
        {
            *count += match random.random_range(0..4) {
                0 | 1 => 0.0,
                2 if fractions => 0.3,
                _ => f64::from(random.random_range(0..8)),
            };
        }

        self.sum += f64::from(random.random_range(-4..40)) / 4.0;
        if random.random_range(0..150) == 0 {
            self.sum = [f64::NAN, f64::INFINITY, 1e300]
                .choose(random)
                .copied()
                .unwrap_or(0.0);
        }
    }

    fn text(&self) -> String {
        let list = |values: &[f64]| {
            values
                .iter()
                .map(|value| number(*value))
                .collect::<Vec<_>>()
                .join(" ")
        };

        let all = self.positive.iter().chain(&self.negative).sum::<f64>() + self.zero + self.odd;
        let mut text = format!(
            "{{{{schema:{} sum:{} count:{}",
            self.schema,
            number(self.sum),
            number(all)
        );

        if self.schema == -53 {
            let _ = write!(text, " custom_values:[{}]", list(&self.custom));
        } else {
            let _ = write!(
                text,
                " z_bucket:{} z_bucket_w:{}",
                number(self.zero),
                number(self.width)
            );
        }

        if !self.positive.is_empty() {
            let _ = write!(
                text,
                " buckets:[{}] offset:{}",
                list(&self.positive),
                self.offset
            );
        }

        if !self.negative.is_empty() {
            let _ = write!(
                text,
                " n_buckets:[{}] n_offset:{}",
                list(&self.negative),
                self.negative_offset
            );
        }

        text + self.hint + "}}"
    }
}

fn number(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => value.to_string(),
    }
}
