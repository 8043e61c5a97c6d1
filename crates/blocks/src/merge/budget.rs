//! Divides the memory of a merge between its inputs and its output. Pure.

use std::sync::Arc;

use duramen_block::{BatchOptions, BlockLimits};
use duramen_qos::{Account, Use};

use crate::merge::options::MergeOptions;

/// A sample in memory: time, value, and both times of a life span.
const SAMPLE_BYTES: usize = 32;
/// The batches of an input in memory: the current one, and two that are read ahead.
const BATCHES_OF_AN_INPUT: usize = 3;
/// The batches of the output: one is merged, one is written.
const BATCHES_OF_THE_OUTPUT: usize = 2;
/// A batch has at least so many samples, so that a page is not decoded for each few of them.
const BATCH_SAMPLES_MIN: usize = 1024;
const BATCH_SAMPLES_MAX: usize = 1 << 20;

/// How the memory of a merge is divided: a quarter for the writer, which has the labels of one
/// block, its series table and a row group; the rest for batches of samples.
pub(super) struct Budget {
    /// The account of the batches.
    pub(super) memory: Arc<Account>,
    pub(super) limits: BlockLimits,
    /// The samples of a batch of the output.
    pub(super) output_samples_max: usize,
    input_samples_max: usize,
}

impl Budget {
    pub(super) fn new(options: &MergeOptions, inputs: usize) -> Self {
        let bytes = options.memory_bytes_max;
        let of_batches = bytes / 4 * 3;
        let batches = BATCHES_OF_AN_INPUT * inputs.max(1) + BATCHES_OF_THE_OUTPUT;
        let samples = of_batches / batches / SAMPLE_BYTES;
        let samples = samples.clamp(BATCH_SAMPLES_MIN, BATCH_SAMPLES_MAX);

        let limits = BlockLimits {
            labels_bytes_max: options.limits.labels_bytes_max.min(bytes / 16),
            ..options.limits.clone()
        };

        Self {
            memory: account(of_batches),
            limits,
            output_samples_max: samples,
            input_samples_max: samples,
        }
    }

    /// The batches of one input.
    pub(super) fn batches(&self) -> BatchOptions {
        BatchOptions {
            samples_max: self.input_samples_max as u64,
            memory: Arc::clone(&self.memory),
        }
    }
}

/// Returns an account that queries, which batches count as, may fill with so many bytes.
fn account(bytes: usize) -> Arc<Account> {
    let percent = Account::new(100).mark(Use::Query);
    Account::new((bytes / percent).saturating_mul(100))
}
