//! What a run of compaction did.

use std::collections::BTreeMap;

use duramen_blocks::MergeReport;
use duramen_model::{BlockId, WriterId};
use serde::Serialize;

use crate::job::Level;

/// What was done for a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Jobs whose output is live.
    pub done: u64,
    /// Jobs whose inputs another worker has replaced first.
    pub lost: u64,
    /// Jobs that other workers have claimed.
    pub left: u64,
    pub failed: Vec<Failure>,
    /// Blocks that were removed because all of their samples were beyond their retention.
    pub expired: u64,
    /// Blocks that went, and blocks that came.
    pub blocks_in: u64,
    pub blocks_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Floats and histograms of the blocks that were merged. Jobs that make or merge rollups alone
    /// have none.
    pub samples_in: u64,
    pub samples_out: u64,
    /// Samples that lost against another value of an earlier order, by the writer that sent them.
    pub conflicts: BTreeMap<WriterId, u64>,
}

/// A job that could not be done. Its inputs stay live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub job: String,
    pub reason: String,
    /// The inputs that are left alone: the damaged one, or all of them if none is.
    pub held: Vec<BlockId>,
}

impl Summary {
    /// Adds what a later run did for the tenant.
    pub fn join(&mut self, later: Self) {
        self.done += later.done;
        self.lost += later.lost;
        self.left = later.left;
        self.failed.extend(later.failed);
        self.expired += later.expired;
        self.blocks_in += later.blocks_in;
        self.blocks_out += later.blocks_out;
        self.bytes_in += later.bytes_in;
        self.bytes_out += later.bytes_out;
        self.samples_in += later.samples_in;
        self.samples_out += later.samples_out;

        for (writer, lost) in later.conflicts {
            *self.conflicts.entry(writer).or_default() += lost;
        }
    }

    /// Adds what a job did that made so many blocks.
    pub(crate) fn add(&mut self, level: Level, report: &MergeReport, outputs: usize) {
        self.done += 1;
        self.blocks_in += report.inputs.len() as u64;
        self.blocks_out += outputs as u64;
        self.bytes_in += report.bytes_before();
        self.bytes_out += report.bytes;

        if level.writes_samples() {
            self.samples_in += report.samples_before();
            self.samples_out += report.samples + report.histograms;
        }

        for (writer, lost) in report.conflicts_by_writer() {
            *self.conflicts.entry(writer).or_default() += lost;
        }
    }
}
