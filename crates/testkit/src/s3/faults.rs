//! Faults: which requests they affect, and what they do.
//!
//! Probabilities are not drawn from a random stream. Each is computed from the seed, the rule, and
//! how many requests with the same operation and key came before. So with the same seed each key
//! has the same faults, whatever the order of requests.

use std::collections::HashMap;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::call::{Call, Op};
use super::gate::Gate;
use super::latency::Latency;

/// What goes wrong with a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The request fails with this status, and nothing is done. 503 says `SlowDown`, 500
    /// `InternalError`, 429 `TooManyRequests`.
    Status(u16),
    /// The request fails with 500, but it *is* done.
    Status500AfterCommit,
    /// The connection is reset, and nothing is done.
    ResetBeforeCommit,
    /// The connection is reset, but the request *is* done.
    ResetAfterCommit,
    /// The request fails with 409 `ConditionalRequestConflict`, and nothing is done.
    Conflict409,
    /// The request fails with 403 `AccessDenied`.
    Forbidden403,
    /// The request fails with 403 `ExpiredToken`, as with an expired session.
    ExpiredToken,
    /// The request fails with 403 `RequestTimeTooSkewed`, as with a wrong clock of the client.
    ClockSkew,
    /// Sends only this many bytes of the body under its full `Content-Length`, then ends the
    /// connection.
    TruncateBody(u64),
    /// Sends only this many bytes of the body with a matching `Content-Length`, as a bad proxy
    /// does. Only the `Content-Range`, if there is one, shows that some are missing.
    ShortenBody(u64),
    /// Flips one bit of the byte at this offset of a GET's body. A shorter body is not changed.
    FlipBit { offset: u64 },
    /// Sends the body in pieces, with a pause before each.
    Trickle { piece_bytes: usize, pause: Duration },
    /// Waits this long before anything is done.
    Delay(Duration),
    /// Waits at the gate.
    HoldUntil { point: Point, gate: Gate },
}

/// Where a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// It has arrived, but nothing is done.
    BeforeCommit,
    /// It is done and visible to all, but the client has no response yet.
    AfterCommit,
}

/// Which requests a fault affects. Without further conditions: all.
#[derive(Clone, Debug)]
pub struct When {
    op: Option<Op>,
    key_prefix: String,
    conditional: bool,
    first: u64,
    last: u64,
    probability: f64,
}

impl When {
    /// Matches every request.
    pub fn any() -> Self {
        Self {
            op: None,
            key_prefix: String::new(),
            conditional: false,
            first: 1,
            last: u64::MAX,
            probability: 1.0,
        }
    }

    /// Matches the requests of one operation.
    pub fn op(op: Op) -> Self {
        Self {
            op: Some(op),
            ..Self::any()
        }
    }

    /// Only requests whose key has this prefix. [`Op`] says what the key is for operations that are
    /// not about one object.
    pub fn under(self, key_prefix: impl Into<String>) -> Self {
        Self {
            key_prefix: key_prefix.into(),
            ..self
        }
    }

    /// Only writes with `If-None-Match` or `If-Match`.
    pub fn conditional(self) -> Self {
        Self {
            conditional: true,
            ..self
        }
    }

    /// Only the n-th request that matches everything else, counted from 1 since the rule was added.
    /// A client's retry counts as a request.
    pub fn nth(self, n: u64) -> Self {
        Self {
            first: n,
            last: n,
            ..self
        }
    }

    /// Only the first `n` requests that match everything else.
    pub fn first(self, n: u64) -> Self {
        Self {
            first: 1,
            last: n,
            ..self
        }
    }

    /// Each matching request with this probability.
    pub fn probability(self, probability: f64) -> Self {
        Self {
            probability,
            ..self
        }
    }

    fn matches(&self, call: &Call) -> bool {
        self.op.is_none_or(|op| op == call.op)
            && call.key.starts_with(&self.key_prefix)
            && (!self.conditional || call.is_conditional_write())
    }
}

/// A fault, and the requests that it affects.
#[derive(Clone, Debug)]
pub struct Rule {
    pub when: When,
    pub fault: Fault,
}

/// Identifies a rule of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleId(u64);

/// A whole scenario, with one seed.
#[derive(Clone, Debug, Default)]
pub struct FaultPlan {
    pub seed: u64,
    pub rules: Vec<Rule>,
    /// A delay that is added to every request.
    pub latency: Option<Latency>,
}

impl FaultPlan {
    /// Returns a plan without faults.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            rules: Vec::new(),
            latency: None,
        }
    }

    #[must_use]
    pub fn rule(mut self, when: When, fault: Fault) -> Self {
        self.rules.push(Rule { when, fault });
        self
    }

    #[must_use]
    pub fn latency(self, latency: Latency) -> Self {
        Self {
            latency: Some(latency),
            ..self
        }
    }

    /// Returns a plan with every fault that a retry can overcome, each with `probability` for the
    /// requests that can have it.
    pub fn unlucky(seed: u64, probability: f64) -> Self {
        let any = || When::any().probability(probability);
        let gets = || When::op(Op::Get).probability(probability);

        Self::new(seed)
            .rule(any(), Fault::Status(503))
            .rule(any(), Fault::Status(500))
            .rule(any(), Fault::Status500AfterCommit)
            .rule(any(), Fault::ResetBeforeCommit)
            .rule(any(), Fault::ResetAfterCommit)
            .rule(any().conditional(), Fault::Conflict409)
            .rule(gets(), Fault::TruncateBody(7))
    }
}

/// The decision about one request.
#[derive(Debug, Default)]
pub(super) struct Decision {
    pub(super) delay: Duration,
    pub(super) fault: Option<Fault>,
}

/// An active rule.
#[derive(Debug)]
struct Armed {
    id: RuleId,
    seed: u64,
    /// Makes the chances of rules with the same seed independent.
    salt: u64,
    rule: Rule,
    matched: u64,
    fired: u64,
    /// How many requests of each operation and key have matched. Kept only for rules with a
    /// probability.
    seen: HashMap<(Op, String), u64>,
}

impl Armed {
    /// Counts the request if it matches. Returns whether the fault affects it.
    fn meets(&mut self, call: &Call) -> bool {
        let when = &self.rule.when;
        if !when.matches(call) {
            return false;
        }

        self.matched += 1;
        if !(when.first..=when.last).contains(&self.matched) {
            return false;
        }

        if when.probability >= 1.0 {
            return true;
        }

        let seen = self.seen.entry((call.op, call.key.clone())).or_default();
        *seen += 1;
        chance(self.seed, self.salt, call, *seen) < when.probability
    }
}

/// Returns a number in `[0, 1)` that depends only on the arguments.
fn chance(seed: u64, salt: u64, call: &Call, occurrence: u64) -> f64 {
    let text = format!("{salt}\0{:?}\0{}\0{occurrence}", call.op, call.key);

    // 32 bits fit exactly into a double.
    let bits = u32::try_from(xxh3_64_with_seed(text.as_bytes(), seed) >> 32).unwrap_or(0);
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

/// All active rules.
#[derive(Debug)]
pub(super) struct Faults {
    seed: u64,
    armed: Vec<Armed>,
    given: u64,
    latency: Option<(Latency, u64)>,
    seen: HashMap<(Op, String), u64>,
}

impl Faults {
    /// Starts without rules. `seed` is for rules that are added by [`Self::inject`].
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            armed: Vec::new(),
            given: 0,
            latency: None,
            seen: HashMap::new(),
        }
    }

    pub(super) fn inject(&mut self, rule: Rule) -> RuleId {
        self.arm(rule, self.seed, self.given)
    }

    /// Replaces all rules by those of a plan. The salt of a rule is its position, so a plan has the
    /// same effect whenever it is set.
    pub(super) fn set_plan(&mut self, plan: FaultPlan) -> Vec<RuleId> {
        self.clear();
        self.latency = plan.latency.map(|latency| (latency, plan.seed));

        let seed = plan.seed;
        plan.rules
            .into_iter()
            .zip(0..)
            .map(|(rule, place)| self.arm(rule, seed, place))
            .collect()
    }

    pub(super) fn clear(&mut self) {
        self.armed.clear();
        self.seen.clear();
        self.latency = None;
    }

    /// Returns how many requests a rule has affected, or 0 if there is no such rule.
    pub(super) fn fired(&self, id: RuleId) -> u64 {
        self.armed
            .iter()
            .find(|armed| armed.id == id)
            .map_or(0, |armed| armed.fired)
    }

    /// Decides about a request. Every rule counts it. Of the rules that affect it, the first one
    /// applies; delays are added up.
    pub(super) fn decide(&mut self, call: &Call) -> Decision {
        let mut decision = Decision::default();
        if let Some((latency, seed)) = self.latency {
            let seen = self.seen.entry((call.op, call.key.clone())).or_default();
            *seen += 1;
            decision.delay += latency.at(chance(seed, u64::MAX, call, *seen));
        }

        for armed in &mut self.armed {
            if !armed.meets(call) {
                continue;
            }

            match &armed.rule.fault {
                Fault::Delay(delay) => decision.delay += *delay,
                fault if decision.fault.is_none() => decision.fault = Some(fault.clone()),
                _ => continue,
            }

            armed.fired += 1;
        }

        decision
    }

    fn arm(&mut self, rule: Rule, seed: u64, salt: u64) -> RuleId {
        let id = RuleId(self.given);
        self.given += 1;

        self.armed.push(Armed {
            id,
            seed,
            salt,
            rule,
            matched: 0,
            fired: 0,
            seen: HashMap::new(),
        });

        id
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::Request;

    use super::*;

    fn put(key: &str) -> Call {
        let (head, ()) = Request::put(format!("/b/{key}"))
            .body(())
            .unwrap()
            .into_parts();

        Call::read(head, Bytes::new()).unwrap()
    }

    fn fates(faults: &mut Faults, keys: &[String]) -> Vec<(String, bool)> {
        let mut fates: Vec<_> = keys
            .iter()
            .map(|key| (key.clone(), faults.decide(&put(key)).fault.is_some()))
            .collect();

        fates.sort_unstable();
        fates
    }

    #[test]
    fn the_same_seed_gives_each_key_the_same_fate_in_any_order() {
        let keys: Vec<String> = (0..200).map(|n| format!("k{n}")).collect();
        let reversed: Vec<String> = keys.iter().rev().cloned().collect();
        let plan =
            |seed| FaultPlan::new(seed).rule(When::any().probability(0.3), Fault::Status(503));
        let mut faults = Faults::new(0);

        faults.inject(Rule {
            when: When::any().nth(9999),
            fault: Fault::Status(500),
        });

        faults.set_plan(plan(1));

        let first = fates(&mut faults, &keys);
        faults.set_plan(plan(1));

        assert_eq!(fates(&mut faults, &reversed), first);

        faults.set_plan(plan(2));
        assert_ne!(fates(&mut faults, &keys), first);

        let met = first.iter().filter(|(_, met)| *met).count();
        assert!((40..=80).contains(&met), "{met} of 200 at 30 %");
    }

    #[test]
    fn only_the_chosen_occurrence_is_met() {
        let mut faults = Faults::new(0);
        let rule = faults.inject(Rule {
            when: When::op(Op::Put).under("a/").nth(2),
            fault: Fault::Status(500),
        });

        let met = |faults: &mut Faults, key: &str| faults.decide(&put(key)).fault.is_some();
        assert!(!met(&mut faults, "a/1"));
        assert!(!met(&mut faults, "b/1"));
        assert!(met(&mut faults, "a/2"));
        assert!(!met(&mut faults, "a/3"));
        assert_eq!(faults.fired(rule), 1);
    }

    #[test]
    fn delays_add_up_and_the_earliest_fault_has_its_way() {
        let mut faults = Faults::new(0);
        let second = Duration::from_secs(1);

        for fault in [
            Fault::Delay(second),
            Fault::Status(500),
            Fault::Delay(second),
            Fault::Status(503),
        ] {
            faults.inject(Rule {
                when: When::any(),
                fault,
            });
        }

        let decision = faults.decide(&put("k"));
        assert_eq!(decision.delay, 2 * second);
        assert!(matches!(decision.fault, Some(Fault::Status(500))));
    }
}
