//! What became of a write.

use duramen_model::ShownSeries;

use crate::head::{Applied, Conflict, Kept, TenantHead};
use crate::intake::Duplicates;
use crate::rejection::{Rejection, Rejections};

/// What a write did. Everything that is neither rejected nor lost is durable on this disk and
/// readable.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteReport {
    /// Floats.
    pub samples: Kept,
    pub histograms: Kept,
    pub exemplars: Kept,
    /// What was left out since another replica of the cluster is elected. To the sender it is as
    /// good as stored.
    pub duplicates: Duplicates,
    /// Metric families that were told of, news or not.
    pub metadata: usize,
    /// Series, floats and histograms: the sender is told, and told that it is final. A sender that
    /// was asked to wait for one series would send the same batch for ever, and none of what comes
    /// behind it.
    pub rejected: Rejections,
    /// Exemplars that are not kept. A sender of 2.0 is told; 1.0 has no word for it.
    pub lost_exemplars: Rejections,
    /// Metadata that is not kept: no reason to refuse anything.
    pub lost_metadata: Rejections,
}

impl WriteReport {
    /// Samples, histograms and exemplars that the sender may count as written: those of a replica
    /// that is not elected are.
    pub const fn written(&self) -> [usize; 3] {
        [
            self.samples.total() + self.duplicates.samples,
            self.histograms.total() + self.duplicates.histograms,
            self.exemplars.total() + self.duplicates.exemplars,
        ]
    }

    pub(crate) fn note(&mut self, head: &TenantHead, applied: Applied) {
        self.samples = applied.samples;
        self.histograms = applied.histograms;
        self.exemplars = applied.exemplars;

        for Conflict { slot, ts_ms, lost } in applied.conflicts {
            self.rejected
                .add_of(&Rejection::Conflict { ts_ms }, lost, || {
                    ShownSeries::of(&head.labels(slot))
                });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_replica_has_stored_counts_as_written() {
        let mut report = WriteReport {
            samples: Kept {
                stored: 2,
                repeated: 1,
            },
            ..WriteReport::default()
        };

        report.duplicates.add(Duplicates {
            samples: 4,
            histograms: 5,
            exemplars: 6,
        });

        assert_eq!(report.written(), [7, 5, 6]);
    }
}
