//! The messages of remote write and remote read as the public definitions in `proto/` have them,
//! encoded and decoded by prost: what our own decoders are held against.
//!
//! The modules are generated; the test `prompb` compares them with the definitions and writes them
//! anew with `DURAMEN_BLESS`.

pub use prost::Message;

/// Remote write 1.0, and remote read.
#[rustfmt::skip]
#[path = "prompb/prometheus.rs"]
pub mod v1;

/// Remote write 2.0.
#[rustfmt::skip]
#[path = "prompb/io.prometheus.write.v2.rs"]
pub mod v2;

/// What scrapers take.
#[rustfmt::skip]
#[path = "prompb/io.prometheus.client.rs"]
pub mod client;

/// The symbols of a request of 2.0 while it is built; the empty one is there from the start.
#[derive(Clone, Debug)]
pub struct Symbols(pub Vec<String>);

impl Default for Symbols {
    fn default() -> Self {
        Self(vec![String::new()])
    }
}

impl Symbols {
    /// The reference of a text, which becomes a symbol when it is none.
    #[expect(clippy::cast_possible_truncation, reason = "tests have few symbols")]
    pub fn reference(&mut self, text: &str) -> u32 {
        let held = self.0.iter().position(|held| held == text);
        let at = held.unwrap_or_else(|| {
            self.0.push(text.to_owned());
            self.0.len() - 1
        });

        at as u32
    }

    /// The references of labels, in their order.
    pub fn labels<'l>(&mut self, labels: impl IntoIterator<Item = (&'l str, &'l str)>) -> Vec<u32> {
        labels
            .into_iter()
            .flat_map(|(name, value)| [self.reference(name), self.reference(value)])
            .collect()
    }
}
