//! The only source of randomness.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use ulid::Ulid;

/// Gives random numbers, and ids that are never given twice. A clone is cheap and shares the
/// source.
#[derive(Clone)]
pub struct Entropy {
    source: Source,
}

#[derive(Clone)]
enum Source {
    System,
    Seeded(Arc<Mutex<StdRng>>),
}

impl Entropy {
    /// Randomness of the operating system, which nobody outside can guess.
    pub const fn system() -> Self {
        Self {
            source: Source::System,
        }
    }

    /// The same numbers for the same seed. It is for simulations, where all processes of a run
    /// share one.
    pub fn seeded(seed: u64) -> Self {
        Self {
            source: Source::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed)))),
        }
    }

    /// A random number. It may be used as a secret.
    pub fn number(&self) -> u64 {
        self.draw(|random| random.next_u64())
    }

    /// A random number in `[0, 1)`.
    pub fn fraction(&self) -> f64 {
        self.draw(|random| random.random())
    }

    /// A ULID with the time `now_ms`.
    pub fn ulid(&self, now_ms: i64) -> Ulid {
        let random = self.draw(|random| random.random());
        Ulid::from_parts(u64::try_from(now_ms).unwrap_or(0), random)
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut dyn RngCore) -> T) -> T {
        match &self.source {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the randomness that others are sent to"
            )]
            Source::System => draw(&mut rand::rng()),
            Source::Seeded(random) => draw(&mut *random.lock()),
        }
    }
}

impl fmt::Debug for Entropy {
    /// Does not show the state, so that nobody can predict the next numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            Source::System => "system",
            Source::Seeded(_) => "seeded",
        };

        f.debug_tuple("Entropy").field(&source).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_all_numbers_and_no_id_comes_twice() {
        let draw = |entropy: &Entropy| {
            let ids = [entropy.ulid(5), entropy.ulid(5)];
            (ids, entropy.number(), entropy.fraction().to_bits())
        };

        let seeded = Entropy::seeded(1);
        let first = draw(&seeded);

        assert_eq!(first, draw(&Entropy::seeded(1)));
        assert_ne!(first, draw(&seeded));
        assert_ne!(first.0[0], first.0[1]);
        assert_eq!(first.0[0].timestamp_ms(), 5);
        assert_ne!(draw(&Entropy::system()), draw(&Entropy::system()));
    }
}
