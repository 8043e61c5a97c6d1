//! Budgets of memory, one within another: a query's within its tenant's within the account of the
//! process.
//!
//! Memory is reserved before it is allocated. A reservation counts in the budget that it is made
//! in and in everything above, or nowhere: [`Exceeded`] tells which of them had no room. So a query
//! over its own budget fails alone, and a tenant at its budget leaves the rest to the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::memory::{Account, Full, Use};

/// The error when a reservation had no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exceeded {
    /// In the budget of the query itself. The same query would fail again.
    #[error("the query exceeds its memory. {}, {}=`{}`", .0, Self::QUERY, .0.max)]
    Query(Short),
    /// In the budget of all queries of the tenant.
    #[error("the queries of the tenant use up its memory. {}, {}=`{}`", .0, Self::TENANT, .0.max)]
    Tenant(Short),
    /// In the account of the process.
    #[error(transparent)]
    Process(#[from] Full),
}

/// How much was missing in a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("asked_bytes=`{asked}`, held_bytes=`{held}`")]
pub struct Short {
    pub asked: usize,
    /// The bytes that the budget had given out.
    pub held: usize,
    pub max: usize,
}

impl Exceeded {
    const QUERY: &'static str = "memory_bytes_max";
    const TENANT: &'static str = "tenant_memory_bytes_max";
    const PROCESS: &'static str = "process_memory_bytes_max";

    /// The name of the limit.
    pub const fn limit(&self) -> &'static str {
        match self {
            Self::Query(_) => Self::QUERY,
            Self::Tenant(_) => Self::TENANT,
            Self::Process(_) => Self::PROCESS,
        }
    }

    /// Whether there may be room later, when others have given memory back.
    pub const fn passes(&self) -> bool {
        !matches!(self, Self::Query(_))
    }
}

/// A budget. A clone is cheap, and clones share.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Level>);

#[derive(Debug)]
struct Level {
    max: AtomicUsize,
    held: AtomicUsize,
    peak: AtomicUsize,
    refused: AtomicUsize,
    above: Above,
}

/// Where a budget takes from. It also says whose the budget is.
#[derive(Debug)]
enum Above {
    /// The budget of a query is within that of a tenant.
    Tenant(Budget),
    /// The budget of a query that belongs to no tenant.
    Process(Arc<Account>),
    /// The budget of a tenant.
    All(Arc<Account>),
}

impl Budget {
    /// Makes the budget of all queries of a tenant.
    pub fn of_tenant(account: &Arc<Account>, max: usize) -> Self {
        Self::new(max, Above::All(Arc::clone(account)))
    }

    /// Makes the budget of a query that belongs to no tenant.
    pub fn of_query(account: &Arc<Account>, max: usize) -> Self {
        Self::new(max, Above::Process(Arc::clone(account)))
    }

    /// Makes the budget of a query of this tenant.
    #[must_use]
    pub fn query(&self, max: usize) -> Self {
        Self::new(max, Above::Tenant(self.clone()))
    }

    fn new(max: usize, above: Above) -> Self {
        Self(Arc::new(Level {
            max: AtomicUsize::new(max),
            held: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            above,
        }))
    }

    pub fn max(&self) -> usize {
        self.0.max.load(Ordering::Relaxed)
    }

    /// Changes the size. What is held stays held, even if it is more.
    pub fn resize(&self, max: usize) {
        self.0.max.store(max, Ordering::Relaxed);
    }

    /// The bytes that are reserved.
    pub fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    /// The most bytes that were ever reserved at once.
    pub fn peak(&self) -> usize {
        self.0.peak.load(Ordering::Relaxed)
    }

    /// How often this budget itself had no room.
    pub fn refusals(&self) -> usize {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Reserves `bytes`, all or none. The reservation gives them back when it is dropped.
    pub fn reserve(&self, bytes: usize) -> Result<Reservation, Exceeded> {
        let mut reserved = self.reservation();
        reserved.grow(bytes)?;
        Ok(reserved)
    }

    /// Returns an empty reservation, which grows later.
    pub fn reservation(&self) -> Reservation {
        Reservation {
            budget: self.clone(),
            bytes: 0,
        }
    }

    fn try_add(&self, bytes: usize) -> Result<(), Exceeded> {
        let level = &*self.0;
        let max = self.max();
        let grown = |held: usize| held.checked_add(bytes).filter(|held| *held <= max);
        let held = level
            .held
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, grown)
            .map_err(|held| {
                self.exceeded(Short {
                    asked: bytes,
                    held,
                    max,
                })
            })?;

        let above = match &level.above {
            Above::Tenant(tenant) => tenant.try_add(bytes),
            Above::Process(account) | Above::All(account) => {
                account.try_add(Use::Query, bytes).map_err(Exceeded::from)
            }
        };

        match above {
            Ok(()) => level.peak.fetch_max(held + bytes, Ordering::Relaxed),
            Err(_) => level.held.fetch_sub(bytes, Ordering::AcqRel),
        };

        above
    }

    fn exceeded(&self, short: Short) -> Exceeded {
        self.0.refused.fetch_add(1, Ordering::Relaxed);

        match self.0.above {
            Above::Tenant(_) | Above::Process(_) => Exceeded::Query(short),
            Above::All(_) => Exceeded::Tenant(short),
        }
    }

    fn add(&self, bytes: usize) {
        let held = self.0.held.fetch_add(bytes, Ordering::AcqRel) + bytes;
        self.0.peak.fetch_max(held, Ordering::Relaxed);

        match &self.0.above {
            Above::Tenant(tenant) => tenant.add(bytes),
            Above::Process(account) | Above::All(account) => account.add(Use::Query, bytes),
        }
    }

    fn sub(&self, bytes: usize) {
        self.0.held.fetch_sub(bytes, Ordering::AcqRel);

        match &self.0.above {
            Above::Tenant(tenant) => tenant.sub(bytes),
            Above::Process(account) | Above::All(account) => account.sub(Use::Query, bytes),
        }
    }
}

/// Memory that was reserved in a budget. It is given back when the reservation is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Budget,
    bytes: usize,
}

impl Reservation {
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Reserves `bytes` more, all or none. Without room, it keeps what it had before.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Exceeded> {
        self.budget.try_add(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Reserves what is missing to `bytes`. A larger reservation stays as it is.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Exceeded> {
        self.grow(bytes.saturating_sub(self.bytes))
    }

    /// Adds `bytes` that are in use already. It cannot be refused.
    pub fn force(&mut self, bytes: usize) {
        self.budget.add(bytes);
        self.bytes += bytes;
    }

    /// Gives `bytes` back, or everything if it has less.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.budget.sub(bytes);
        self.bytes -= bytes;
    }

    /// Gives everything beyond `bytes` back.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.shrink(self.bytes.saturating_sub(bytes));
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.sub(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_counts_at_each_level_until_it_is_dropped() {
        let account = Account::new(1000);
        let tenant = Budget::of_tenant(&account, 500);
        let query = tenant.query(300);
        let mut reserved = query.reserve(100).unwrap();

        reserved.grow(50).unwrap();
        reserved.shrink(30);
        reserved.force(5);

        let held = || (query.held(), tenant.held(), account.used_by(Use::Query));
        assert_eq!(held(), (125, 125, 125));

        reserved.grow_to(130).unwrap();
        reserved.grow_to(10).unwrap();
        assert_eq!(held(), (130, 130, 130));

        reserved.shrink_to(120);
        assert_eq!(held(), (120, 120, 120));

        drop(reserved);
        assert_eq!(held(), (0, 0, 0));
        assert_eq!((query.peak(), tenant.peak()), (150, 150));
    }

    #[test]
    fn the_budget_without_room_is_named_and_nothing_is_held_of_what_was_refused() {
        let account = Account::new(1000);
        let tenant = Budget::of_tenant(&account, 500);
        let first = tenant.query(300);
        let second = tenant.query(300);
        let other = Budget::of_tenant(&account, 500).query(usize::MAX);

        // The query's own.
        let _held = first.reserve(300).unwrap();
        let own = first.reserve(1).unwrap_err();
        assert_eq!((own.limit(), own.passes()), ("memory_bytes_max", false));
        assert!(
            own.to_string()
                .ends_with("asked_bytes=`1`, held_bytes=`300`, memory_bytes_max=`300`")
        );

        // The tenant's.
        let of_tenant = second.reserve(201).unwrap_err();
        assert_eq!(
            (of_tenant.limit(), of_tenant.passes()),
            ("tenant_memory_bytes_max", true)
        );
        assert!(
            of_tenant
                .to_string()
                .ends_with("asked_bytes=`201`, held_bytes=`300`, tenant_memory_bytes_max=`500`")
        );
        assert_eq!((second.held(), tenant.held()), (0, 300));

        // Another tenant has room. The process has less than the other tenant may hold.
        let _of_other = other.reserve(400).unwrap();
        let of_process = second.reserve(150).unwrap_err();
        assert_eq!(
            (of_process.limit(), of_process.passes()),
            ("process_memory_bytes_max", true)
        );
        assert_eq!(
            (second.held(), tenant.held(), account.used()),
            (0, 300, 700)
        );

        assert_eq!(
            (first.refusals(), second.refusals(), tenant.refusals()),
            (1, 0, 1)
        );
        assert!(second.reserve(100).is_ok());
    }

    #[test]
    fn a_budget_that_shrinks_keeps_what_is_held() {
        let tenant = Budget::of_tenant(&Account::unbounded(), 100);
        let query = tenant.query(100);
        let held = query.reserve(80).unwrap();

        tenant.resize(50);
        assert!(query.reserve(0).is_err());
        assert_eq!(tenant.held(), 80);

        drop(held);
        assert!(query.reserve(50).is_ok());
        assert!(query.reserve(51).is_err());
    }

    #[test]
    fn what_cannot_be_added_up_is_refused() {
        let query = Budget::of_query(&Account::unbounded(), usize::MAX);
        let _held = query.reserve(1).unwrap();

        assert!(query.reserve(usize::MAX).is_err());
        assert_eq!(query.held(), 1);
    }

    #[test]
    fn many_threads_never_hold_more_than_there_is() {
        let account = Account::new(1000);
        let tenant = Budget::of_tenant(&account, 600);

        std::thread::scope(|scope| {
            for seed in 0..4_usize {
                let query = tenant.query(200);

                scope.spawn(move || {
                    let mut held = Vec::new();

                    for turn in 0..5000_usize {
                        match query.reserve((turn * 7 + seed * 13) % 90) {
                            Ok(reserved) => held.push(reserved),
                            Err(_) => held.clear(),
                        }
                    }
                });
            }
        });

        assert!(tenant.peak() <= 600, "{}", tenant.peak());
        assert_eq!((tenant.held(), account.used()), (0, 0));
    }
}
