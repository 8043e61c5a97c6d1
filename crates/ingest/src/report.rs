//! The report of a write.

use duramen_model::ShownSeries;

use crate::head::{Applied, Conflict, Kept, TenantHead};
use crate::intake::Duplicates;
use crate::rejection::{Rejection, Rejections};

/// The result of a write. Everything that is neither rejected nor lost is durable on the local disk
/// and readable.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteReport {
    /// Floats.
    pub samples: Kept,
    pub histograms: Kept,
    pub exemplars: Kept,
    /// Samples that were left out because another replica of the cluster is elected. The sender
    /// treats them as stored.
    pub duplicates: Duplicates,
    /// The number of metric families whose metadata was accepted, new or not.
    pub metadata: usize,
    /// Rejected series, floats and histograms. The sender is told that this is final. If it were
    /// asked to retry because of one series, it would send the same batch for ever, and no later
    /// one.
    pub rejected: Rejections,
    /// Exemplars that are not stored. A sender of version 2.0 is told; version 1.0 has no way to
    /// say it.
    pub lost_exemplars: Rejections,
    /// Metadata that is not stored. This is no reason to refuse the request.
    pub lost_metadata: Rejections,
}

impl WriteReport {
    /// Returns the samples, histograms and exemplars that count as written for the sender. Those of
    /// a replica that is not elected are among them.
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
