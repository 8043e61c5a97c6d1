//! The gate: the verdicts of the elections on the series of one request.

use duramen_limits::HaLimits;
use duramen_proto::Series;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::elections::Judgement;
use super::roster::Member;
use crate::intake::duplicates::Duplicates;

/// The verdict on a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict<'g> {
    /// The series belongs to no pair.
    AsItIs,
    /// The series is of an elected replica. It is stored without this label.
    Without { label: &'g str },
    /// Another replica of the cluster is elected. The series is left out, and the sender is not
    /// told.
    Duplicate { cluster: &'g str },
    /// The series is of a cluster beyond the limit.
    OverLimit { cluster: &'g str, max: usize },
}

/// The verdicts on one request.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// The index in `senders` for each series; empty if every series passes.
    places: Vec<Option<usize>>,
    senders: Vec<(Member, Judgement)>,
    replica_label: String,
    clusters_max: usize,
    salt: u128,
}

impl Gate {
    /// Creates a gate that lets every series pass as it is.
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

    /// Returns the verdict on the series at `at` of the request.
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

    /// Returns how much of the `series` of the request is left out, by cluster. A cluster may be in
    /// the list more than once.
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

    /// Returns the key of the registry for a series that was sent with these bytes. The same bytes
    /// mean different series with and without the replica label, and the limits may change between
    /// two requests.
    pub(crate) fn key(&self, at: usize, sent: u128) -> u128 {
        match self.verdict(at) {
            Verdict::Without { .. } => sent ^ self.salt,
            _ => sent,
        }
    }
}
