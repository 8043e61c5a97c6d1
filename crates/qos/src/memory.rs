//! One account of the memory of a process.
//!
//! Request bodies, heads, queries, answers and caches take memory from the same account. Each use
//! has a mark, up to which it may fill the account. The marks follow the priority of the uses. When
//! memory becomes short, caches stop growing first, then answers and queries are refused, then
//! heads accept no new series, and the bodies of writes are refused last.
//!
//! A refusal concerns only the one who asks. Memory that was given is never taken back, except from
//! caches: they are asked to give back the missing bytes before another use is refused.
//!
//! The account only counts, it does not allocate. It cannot limit memory that is not taken from it.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The uses of memory in the order of priority. An earlier use may still take memory when a later
/// one no longer may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Bodies of write requests, and the columns that they are decoded to.
    Body,
    /// Samples, series and metadata that are in no block yet.
    Head,
    /// The memory of a query while it is evaluated.
    Query,
    /// Encoded answers that the client has not received yet.
    Answer,
    /// Data that can be read again.
    Cache,
}

impl Use {
    /// All uses, in the order of priority.
    pub const ALL: [Self; 5] = [
        Self::Body,
        Self::Head,
        Self::Query,
        Self::Answer,
        Self::Cache,
    ];

    /// The name of the use in errors and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Head => "head",
            Self::Query => "query",
            Self::Answer => "answer",
            Self::Cache => "cache",
        }
    }

    /// How full the account may become, with all uses together, when this use takes memory. In
    /// percent.
    const fn mark_percent(self) -> usize {
        match self {
            Self::Body => 100,
            Self::Head => 90,
            Self::Query => 80,
            Self::Answer => 75,
            Self::Cache => 60,
        }
    }
}

/// The error when no memory was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the memory of the process is in use. use=`{}`, asked_bytes=`{asked}`, used_bytes=`{used}`, memory_bytes_max=`{max}`",
    wanted.name()
)]
pub struct Full {
    pub wanted: Use,
    pub asked: usize,
    /// The bytes of all uses together.
    pub used: usize,
    /// The size of the account.
    pub max: usize,
}

/// A cache that can give memory back to an account.
pub trait Reclaim: fmt::Debug + Send + Sync {
    /// Gives back at least `bytes`, or everything. Anyone who takes memory may cause this call. So
    /// an implementation must wait only for its own locks, and must not take memory while it holds
    /// them.
    fn reclaim(&self, bytes: usize);
}

/// The memory that a process may use, and how much of it is used. The size never changes.
#[derive(Debug)]
pub struct Account {
    bytes_max: usize,
    used: AtomicUsize,
    by_use: [AtomicUsize; Use::ALL.len()],
    refused: [AtomicUsize; Use::ALL.len()],
    caches: Mutex<Vec<Weak<dyn Reclaim>>>,
}

impl Account {
    pub fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes_max,
            used: AtomicUsize::new(0),
            by_use: Default::default(),
            refused: Default::default(),
            caches: Mutex::default(),
        })
    }

    /// An account that never refuses, for tests and tools that work alone.
    pub fn unbounded() -> Arc<Self> {
        Self::new(usize::MAX)
    }

    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// The bytes of all uses together.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The bytes of one use.
    pub fn used_by(&self, wanted: Use) -> usize {
        self.by_use[wanted as usize].load(Ordering::Relaxed)
    }

    /// How often memory was refused to one use.
    pub fn refusals(&self, wanted: Use) -> usize {
        self.refused[wanted as usize].load(Ordering::Relaxed)
    }

    /// The bytes of all uses together up to which `wanted` may fill the account.
    pub fn mark(&self, wanted: Use) -> usize {
        // It divides first, because the size may be `usize::MAX`.
        (self.bytes_max / 100)
            .saturating_mul(wanted.mark_percent())
            .max(usize::from(self.bytes_max > 0))
    }

    /// Takes `bytes`, all or none. The share gives them back when it is dropped.
    ///
    /// # Errors
    /// [`Full`] when the account would be filled beyond the mark of `wanted`.
    pub fn take(self: &Arc<Self>, wanted: Use, bytes: usize) -> Result<Share, Full> {
        let mut share = self.share(wanted);
        share.grow(bytes)?;
        Ok(share)
    }

    /// An empty share, which grows later.
    pub fn share(self: &Arc<Self>, wanted: Use) -> Share {
        Share {
            account: Arc::clone(self),
            wanted,
            bytes: 0,
        }
    }

    /// Registers a cache. As long as it lives, it is asked to give memory back before another use
    /// is refused.
    pub fn reclaim_from(&self, cache: Weak<dyn Reclaim>) {
        self.caches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(cache);
    }

    /// Checks whether `bytes` more would be refused now. A failed check counts as a refusal.
    pub fn check(&self, wanted: Use, bytes: usize) -> Result<(), Full> {
        let fits = || self.used().saturating_add(bytes) <= self.mark(wanted);

        if fits() {
            return Ok(());
        }

        self.reclaim(wanted, bytes);
        if fits() {
            return Ok(());
        }

        Err(self.refuse(wanted, bytes, self.used()))
    }

    pub(crate) fn try_add(&self, wanted: Use, bytes: usize) -> Result<(), Full> {
        let mark = self.mark(wanted);
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= mark);
        let add = || {
            self.used
                .fetch_update(Ordering::AcqRel, Ordering::Relaxed, fits)
        };

        let added = add().or_else(|_| {
            self.reclaim(wanted, bytes);
            add()
        });

        match added {
            Ok(_) => {
                self.by_use[wanted as usize].fetch_add(bytes, Ordering::Relaxed);
                Ok(())
            }
            Err(used) => Err(self.refuse(wanted, bytes, used)),
        }
    }

    /// Asks the caches to give back what is missing for `bytes` more.
    fn reclaim(&self, wanted: Use, bytes: usize) {
        let missing = || {
            self.used()
                .saturating_add(bytes)
                .saturating_sub(self.mark(wanted))
        };

        // If the caches have less than is missing, they keep it, because giving it back would not
        // help.
        let in_caches = self.used_by(Use::Cache);
        if wanted == Use::Cache || in_caches == 0 || missing() > in_caches {
            return;
        }

        let mut caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        caches.retain(|cache| cache.strong_count() > 0);

        let alive: Vec<_> = caches.iter().filter_map(Weak::upgrade).collect();
        drop(caches);

        for cache in alive {
            match missing() {
                0 => break,
                missing => cache.reclaim(missing),
            }
        }
    }

    fn refuse(&self, wanted: Use, asked: usize, used: usize) -> Full {
        self.refused[wanted as usize].fetch_add(1, Ordering::Relaxed);
        Full {
            wanted,
            asked,
            used,
            max: self.bytes_max,
        }
    }

    pub(crate) fn add(&self, wanted: Use, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::AcqRel);
        self.by_use[wanted as usize].fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, wanted: Use, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
        self.by_use[wanted as usize].fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Memory that was taken from an account. It is given back when the share is dropped.
#[derive(Debug)]
pub struct Share {
    account: Arc<Account>,
    wanted: Use,
    bytes: usize,
}

impl Share {
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes `bytes` more, all or none.
    ///
    /// # Errors
    /// The same as of [`Account::take`]. The share then keeps what it had before.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        self.account.try_add(self.wanted, bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives `bytes` back, or everything if the share has less.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.account.sub(self.wanted, bytes);
        self.bytes -= bytes;
    }

    /// Sets the share to memory that is in use already. It cannot be refused, because data in the
    /// log must be in memory. Callers that can still refuse the data ask [`Account::check`] before.
    pub fn set(&mut self, bytes: usize) {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.account.add(self.wanted, more),
            None => self.account.sub(self.wanted, self.bytes - bytes),
        }

        self.bytes = bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.account.sub(self.wanted, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_gives_back_what_it_took() {
        let account = Account::new(1000);
        let mut share = account.take(Use::Query, 100).unwrap();
        share.grow(50).unwrap();
        share.shrink(30);

        assert_eq!(account.used(), 120);
        assert_eq!(account.used_by(Use::Query), 120);

        share.set(700);
        assert_eq!(account.used(), 700);

        drop(share);
        assert_eq!(account.used(), 0);
        assert_eq!(account.used_by(Use::Query), 0);
    }

    #[test]
    fn what_is_refused_takes_nothing_and_names_the_account() {
        let account = Account::new(1000);
        let mut share = account.take(Use::Query, 700).unwrap();
        let full = share.grow(101).unwrap_err();

        assert_eq!(
            full,
            Full {
                wanted: Use::Query,
                asked: 101,
                used: 700,
                max: 1000
            }
        );

        assert_eq!(share.bytes(), 700);
        assert_eq!(account.used(), 700);
        assert_eq!(account.refusals(Use::Query), 1);
        assert!(
            full.to_string().contains("memory_bytes_max=`1000`"),
            "{full}"
        );
    }

    #[test]
    fn an_earlier_use_may_take_what_a_later_one_may_not() {
        let account = Account::new(1000);
        let mut held = Vec::new();

        for wanted in Use::ALL.into_iter().rev() {
            let room = account.mark(wanted) - account.used();
            assert!(
                room > 0,
                "{wanted:?} has more right than what was before it"
            );

            held.push(account.take(wanted, room).unwrap());
            assert!(account.take(wanted, 1).is_err());
            assert!(account.check(wanted, 1).is_err());
        }

        assert_eq!(account.used(), 1000);
    }

    #[test]
    fn what_is_held_already_counts_even_beyond_the_size() {
        let account = Account::new(1000);
        let mut head = account.share(Use::Head);
        head.set(1500);

        assert_eq!(account.used(), 1500);
        assert!(account.take(Use::Body, 1).is_err());

        head.set(500);
        assert!(account.take(Use::Body, 1).is_ok());
    }

    /// A cache that gives back as many bytes as it is asked for.
    #[derive(Debug)]
    struct Cache(Mutex<Share>);

    impl Reclaim for Cache {
        fn reclaim(&self, bytes: usize) {
            self.0.lock().unwrap().shrink(bytes);
        }
    }

    #[test]
    fn a_cache_makes_room_before_another_is_refused_and_not_for_caches() {
        let account = Account::new(1000);
        let cache = Arc::new(Cache(Mutex::new(account.take(Use::Cache, 500).unwrap())));
        let weak: Weak<Cache> = Arc::downgrade(&cache);

        account.reclaim_from(weak);
        assert!(account.take(Use::Cache, 200).is_err());
        assert_eq!(account.used_by(Use::Cache), 500);

        let query = account.take(Use::Query, 700).unwrap();
        assert_eq!(account.used_by(Use::Cache), 100, "no more than was missing");
        assert_eq!(account.refusals(Use::Query), 0);

        // This is more than the cache has, so it is refused, and the cache keeps its memory.
        assert!(account.take(Use::Query, 200).is_err());
        assert_eq!(account.used_by(Use::Cache), 100);
        assert!(account.check(Use::Query, 50).is_ok());
        assert_eq!(account.used_by(Use::Cache), 50);

        drop((query, cache));
        assert_eq!(account.used(), 0);
    }

    #[test]
    fn an_unbounded_account_never_refuses() {
        let account = Account::unbounded();
        assert!(account.take(Use::Cache, 1 << 40).is_ok());
    }
}
