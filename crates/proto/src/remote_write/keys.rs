//! Identifies series by the bytes of their labels, so that a known series is found without decoding
//! its labels.

use xxhash_rust::xxh3::{xxh3_128_with_secret, xxh3_128_with_seed};

use super::WriteRequest;
use super::labels::{LabelPair, LabelText};

/// Computes the keys of the series of one request. Series with equal keys have equal labels. One
/// label set has a different key for each form in which it is sent. With a secret seed, senders
/// cannot construct two label sets with the same key.
#[derive(Debug)]
pub struct SeriesKeys<'r, 'a> {
    request: &'r WriteRequest<'a>,
    /// Made from the seed once: the hash would make it from the seed for each long label set.
    secret: [u8; SECRET],
    /// The hash of each symbol, for a request of 2.0.
    symbols: Vec<u128>,
    /// The bytes that are hashed for one series. For 2.0: the hashes of its symbols in the order of
    /// the references, and what type and unit add. For a built request: its labels with their
    /// lengths.
    scratch: Vec<u8>,
}

/// The length of the secret, as the authors of the hash recommend it.
const SECRET: usize = 192;

/// Returns the secret of a seed.
fn secret(seed: u64) -> [u8; SECRET] {
    let mut secret = [0; SECRET];
    let (parts, _) = secret.as_chunks_mut::<16>();

    for (number, part) in (0u8..).zip(parts) {
        *part = xxh3_128_with_seed(&[number], seed).to_le_bytes();
    }

    secret
}

impl<'a> WriteRequest<'a> {
    /// Returns the keys of the series.
    pub fn keys(&self, seed: u64) -> SeriesKeys<'_, 'a> {
        SeriesKeys::new(self, seed)
    }
}

impl<'r, 'a> SeriesKeys<'r, 'a> {
    fn new(request: &'r WriteRequest<'a>, seed: u64) -> Self {
        let symbols = match &request.text {
            LabelText::Symbols(symbols) => symbols.as_slice(),
            LabelText::Inline | LabelText::Pairs(_) => &[],
        };

        let secret = secret(seed);
        let symbols = symbols
            .iter()
            .map(|symbol| xxh3_128_with_secret(symbol, &secret))
            .collect();

        Self {
            request,
            secret,
            symbols,
            scratch: Vec::new(),
        }
    }

    /// The key of the series at `at`. For 1.0, it hashes the bytes of the labels. For 2.0, it
    /// hashes the symbols instead of the references, so that a series has the same key in requests
    /// that number their symbols differently; it also hashes type and unit if they become labels.
    /// For a built request, it hashes names and values.
    #[inline]
    pub fn of(&mut self, at: usize) -> u128 {
        let labels = &self.request.series[at].labels;
        match &self.request.text {
            LabelText::Inline => return xxh3_128_with_secret(labels.bytes, &self.secret),
            LabelText::Pairs(pairs) => return self.of_pairs(&pairs[labels.built()]),
            LabelText::Symbols(_) => {}
        }

        self.scratch.clear();

        let read = labels.each_reference(|reference| {
            let hash = self
                .symbols
                .get(reference as usize)
                .copied()
                .unwrap_or_default();

            self.scratch.extend_from_slice(&hash.to_le_bytes());
        });

        debug_assert!(read.is_ok(), "the references were read before");

        if let Some(known) = self.request.type_and_unit(at) {
            known.add_to_key(&self.symbols, &mut self.scratch);
        }

        xxh3_128_with_secret(&self.scratch, &self.secret)
    }

    /// The key of a built series. Different label sets give different bytes. They also differ from
    /// the bytes of a message of 1.0, because no field of a message begins with a zero.
    fn of_pairs(&mut self, labels: &[LabelPair<'a>]) -> u128 {
        self.scratch.clear();
        self.scratch.push(0);

        for text in labels.iter().flat_map(|(name, value)| [name, value]) {
            self.scratch
                .extend_from_slice(&(text.len() as u64).to_le_bytes());
            self.scratch.extend_from_slice(text);
        }

        xxh3_128_with_secret(&self.scratch, &self.secret)
    }
}
