//! What the elections say of the series of one request.

use duramen_limits::HaLimits;
use duramen_proto::Series;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::elections::Judgement;
use super::roster::Member;
use crate::intake::duplicates::Duplicates;

/// What to do with a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict<'g> {
    /// It is of no pair.
    AsItIs,
    /// It is of an elected replica: stored without this label.
    Without { label: &'g str },
    /// Another replica of the cluster is elected: left out, and the sender need not know.
    Duplicate { cluster: &'g str },
    /// It is of a cluster beyond the limit.
    OverLimit { cluster: &'g str, max: usize },
}

/// The decisions on one request.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// For each series its place in `senders`; empty while nobody is held back.
    places: Vec<Option<usize>>,
    senders: Vec<(Member, Judgement)>,
    replica_label: String,
    clusters_max: usize,
    salt: u128,
}

impl Gate {
    /// Lets everything through as it is.
    pub(crate) fn open() -> Self {
        Self::default()
    }

    pub(super) fn new(
        places: Vec<Option<usize>>,
        senders: Vec<(Member, Judgement)>,
        limits: &HaLimits,
        seed: u64,
    ) -> Self {
        let salt = xxh3_128_with_seed(limits.replica_label.as_bytes(), seed);
        let replica_label = limits.replica_label.clone();
        let clusters_max = limits.clusters_max;

        Self {
            places,
            senders,
            replica_label,
            clusters_max,
            salt,
        }
    }

    /// What to do with the series at `at` of the request.
    pub(crate) fn verdict(&self, at: usize) -> Verdict<'_> {
        let Some((member, judgement)) = self
            .places
            .get(at)
            .copied()
            .flatten()
            .map(|place| &self.senders[place])
        else {
            return Verdict::AsItIs;
        };

        match judgement {
            Judgement::Take => Verdict::Without {
                label: &self.replica_label,
            },
            Judgement::OverLimit => Verdict::OverLimit {
                cluster: &member.cluster,
                max: self.clusters_max,
            },
            Judgement::Drop | Judgement::Refresh | Judgement::Elect => Verdict::Duplicate {
                cluster: &member.cluster,
            },
        }
    }

    /// What of the `series` of the request is left out, by cluster; a cluster may stand there more
    /// than once.
    pub(crate) fn duplicates<'g>(&'g self, series: &[Series<'_>]) -> Vec<(&'g str, Duplicates)> {
        let mut found = vec![Duplicates::default(); self.senders.len()];

        for (place, series) in self.places.iter().zip(series) {
            if let Some(place) = place {
                found[*place].add(Duplicates {
                    samples: series.samples().len(),
                    histograms: series.histograms().len(),
                    exemplars: series.exemplars().len(),
                });
            }
        }

        let left_out = |(_, judgement): &(Member, Judgement)| *judgement == Judgement::Drop;
        let with_clusters = self
            .senders
            .iter()
            .zip(found)
            .filter(|(sender, _)| left_out(sender));

        with_clusters
            .map(|((member, _), duplicates)| (&*member.cluster, duplicates))
            .collect()
    }

    /// The key by which the registry knows a series that was sent with these bytes. The same bytes
    /// are another series with the replica label and without it, and the limits may change from one
    /// request to the next.
    pub(crate) fn key(&self, at: usize, sent: u128) -> u128 {
        match self.verdict(at) {
            Verdict::Without { .. } => sent ^ self.salt,
            _ => sent,
        }
    }
}
