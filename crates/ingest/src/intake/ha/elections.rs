//! The elected replicas, and the judgements that follow from them. Pure.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use duramen_bucket::{Chain, Entry};
use duramen_limits::HaLimits;
use serde::{Deserialize, Serialize};

/// All elections of a tenant, as in one object. The last object of the chain has all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Elections {
    /// The slot in the chain; 0 before the first election.
    pub(super) slot: u64,
    pub(super) clusters: BTreeMap<String, Elected>,
}

/// The replica whose samples are taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Elected {
    pub(super) replica: String,
    /// When it was elected, in milliseconds since the epoch. Only people read it.
    since_ms: i64,
}

/// The body of an object.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    format: u64,
    clusters: BTreeMap<String, Elected>,
}

const FORMAT: u64 = 1;

/// What to do with the samples of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Take,
    /// Another replica is elected, and it sends.
    Drop,
    /// It is elected as far as this process knows, but it was silent so long that another process
    /// may have elected another one.
    Refresh,
    /// It can be elected: there is no elected replica, or that one was silent for too long.
    Elect,
    /// Its cluster would be one too many.
    OverLimit,
}

impl Elections {
    /// Returns the elections of the next slot: these, with `replica` elected.
    pub(super) fn with(&self, cluster: &str, replica: &str, since_ms: i64) -> Self {
        let mut clusters = self.clusters.clone();
        clusters.insert(
            cluster.to_owned(),
            Elected {
                replica: replica.to_owned(),
                since_ms,
            },
        );

        Self {
            slot: self.slot + 1,
            clusters,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let body = Body {
            format: FORMAT,
            clusters: self.clusters.clone(),
        };

        serde_json::to_vec(&body).expect("plain values have JSON")
    }

    pub(super) fn decode(chain: &Chain, entry: &Entry) -> Result<Self, duramen_bucket::Error> {
        let key = || chain.key(entry.slot).to_string();
        let body: Body =
            serde_json::from_slice(&entry.body).map_err(|e| duramen_bucket::Error::Corrupt {
                key: key(),
                fault: e.to_string(),
            })?;

        if body.format != FORMAT {
            return Err(duramen_bucket::Error::Format {
                key: key(),
                found: body.format,
                known: FORMAT,
            });
        }

        Ok(Self {
            slot: entry.slot,
            clusters: body.clusters,
        })
    }
}

/// The elections as a process knows them, and when it heard the elected replicas.
#[derive(Debug)]
pub(super) struct View {
    pub(super) elections: Elections,
    heard: HashMap<String, Duration>,
}

impl View {
    /// Creates a view. Each elected replica counts as heard `now`, so it has a whole time-out
    /// before another can be elected.
    pub(super) fn new(elections: Elections, now: Duration) -> Self {
        let heard = elections
            .clusters
            .keys()
            .map(|cluster| (cluster.clone(), now))
            .collect();

        Self { elections, heard }
    }

    /// Decides what to do with samples of `replica` that come `now`. Notes that the elected replica
    /// was heard.
    pub(super) fn judge(
        &mut self,
        cluster: &str,
        replica: &str,
        now: Duration,
        limits: &HaLimits,
    ) -> Judgement {
        let Some(elected) = self.elections.clusters.get(cluster) else {
            let is_room = self.elections.clusters.len() < limits.clusters_max;
            return if is_room {
                Judgement::Elect
            } else {
                Judgement::OverLimit
            };
        };

        let heard = self
            .heard
            .get_mut(cluster)
            .expect("each elected replica has a time");

        let is_silent = now.saturating_sub(*heard) > limits.failover_timeout;

        match (elected.replica == replica, is_silent) {
            (true, false) => {
                *heard = now;
                Judgement::Take
            }
            (true, true) => Judgement::Refresh,
            (false, false) => Judgement::Drop,
            (false, true) => Judgement::Elect,
        }
    }

    /// Takes over later elections. A newly elected replica counts as heard `now`.
    pub(super) fn adopt(&mut self, elections: Elections, now: Duration) {
        for (cluster, elected) in &elections.clusters {
            if self.elections.clusters.get(cluster) != Some(elected) {
                self.heard.insert(cluster.clone(), now);
            }
        }

        self.elections = elections;
    }

    /// Notes that there are no later elections: the elected replica of the cluster, which sends
    /// `now`, stays.
    pub(super) fn confirm(&mut self, cluster: &str, now: Duration) {
        self.heard.insert(cluster.to_owned(), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: fn() -> HaLimits = || HaLimits {
        enabled: true,
        clusters_max: 2,
        ..HaLimits::default()
    };

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn view() -> View {
        View::new(Elections::default().with("c", "a", 0), seconds(100))
    }

    #[test]
    fn the_elected_one_is_taken_and_the_other_is_not_until_a_silence() {
        let mut view = view();
        let limits = LIMITS();
        let mut judge = |replica, s| view.judge("c", replica, seconds(s), &limits);

        assert_eq!(judge("b", 130), Judgement::Drop, "the time-out is not over");
        assert_eq!(judge("a", 130), Judgement::Take);

        assert_eq!(
            judge("b", 160),
            Judgement::Drop,
            "the elected one was heard at 130"
        );

        assert_eq!(judge("b", 161), Judgement::Elect);
        assert_eq!(
            judge("a", 161),
            Judgement::Refresh,
            "another process may have elected another"
        );
    }

    #[test]
    fn who_comes_back_does_not_take_over() {
        let mut view = view();
        let limits = LIMITS();
        let next = view.elections.with("c", "b", 1);

        view.adopt(next, seconds(200));
        assert_eq!(view.judge("c", "a", seconds(201), &limits), Judgement::Drop);
        assert_eq!(view.judge("c", "b", seconds(230), &limits), Judgement::Take);
        assert_eq!(view.judge("c", "a", seconds(260), &limits), Judgement::Drop);
    }

    #[test]
    fn an_election_elsewhere_does_not_make_a_silent_one_heard() {
        let mut view = view();
        let limits = LIMITS();
        let next = view.elections.with("d", "x", 1);

        view.adopt(next, seconds(200));
        assert_eq!(
            view.judge("c", "b", seconds(200), &limits),
            Judgement::Elect
        );

        assert_eq!(view.judge("d", "x", seconds(200), &limits), Judgement::Take);
    }

    #[test]
    fn one_cluster_too_many_is_told_and_known_ones_go_on() {
        let mut view = view();
        let limits = LIMITS();
        let next = view.elections.with("d", "x", 1);

        view.adopt(next, seconds(100));
        assert_eq!(
            view.judge("e", "x", seconds(100), &limits),
            Judgement::OverLimit
        );

        assert_eq!(view.judge("c", "a", seconds(100), &limits), Judgement::Take);
    }
}
