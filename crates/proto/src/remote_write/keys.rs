//! The identity of a series by the bytes of its labels, so that one that was seen before is found
//! without decoding a label.

use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::WriteRequest;
use super::labels::{LabelPair, LabelText};

/// Makes the keys of the series of one request. Series of equal keys have equal labels; one label
/// set has a key for each form in which it is sent. Under a secret seed senders cannot make two
/// label sets meet.
#[derive(Debug)]
pub struct SeriesKeys<'r, 'a> {
    request: &'r WriteRequest<'a>,
    seed: u64,
    /// Of 2.0: the hash of each symbol.
    symbols: Vec<u128>,
    /// Of 2.0: the hashes of one series' symbols in the order of its references, and what its type
    /// and unit add. Of a built request: the labels of one series with their lengths.
    scratch: Vec<u8>,
}

impl<'a> WriteRequest<'a> {
    /// Identifies the series by the bytes of their labels.
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

        let symbols = symbols
            .iter()
            .map(|symbol| xxh3_128_with_seed(symbol, seed))
            .collect();

        Self {
            request,
            seed,
            symbols,
            scratch: Vec::new(),
        }
    }

    /// The key of the series at `at`. In 1.0 it hashes the bytes of the labels; in 2.0 the symbols
    /// referred to, so that the same series has the same key in requests that number their symbols
    /// differently, and its type and unit where they become labels. Of a built request it hashes
    /// names and values.
    #[inline]
    pub fn of(&mut self, at: usize) -> u128 {
        let labels = &self.request.series[at].labels;
        match &self.request.text {
            LabelText::Inline => return xxh3_128_with_seed(labels.bytes, self.seed),
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

        xxh3_128_with_seed(&self.scratch, self.seed)
    }

    /// No two label sets put the same bytes together, nor do those of a message of 1.0: no field of
    /// a message begins with a zero.
    fn of_pairs(&mut self, labels: &[LabelPair<'a>]) -> u128 {
        self.scratch.clear();
        self.scratch.push(0);

        for text in labels.iter().flat_map(|(name, value)| [name, value]) {
            self.scratch
                .extend_from_slice(&(text.len() as u64).to_le_bytes());
            self.scratch.extend_from_slice(text);
        }

        xxh3_128_with_seed(&self.scratch, self.seed)
    }
}
