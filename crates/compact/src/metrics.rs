//! The metrics of compaction.

use std::collections::BTreeMap;

use duramen_metrics::{Counter, Family, Gauge, Registry, label_set};

use crate::collector::Collected;
use crate::job::{Job, Level};
use crate::summary::Summary;

/// The metrics of the compaction in one process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    jobs: Family<OutcomeLabel, Counter>,
    bytes_in: Counter,
    bytes_out: Counter,
    samples: Counter,
    conflicts: Family<WriterLabel, Counter>,
    backlog_blocks: Family<LevelLabel, Gauge>,
    backlog_bytes: Family<LevelLabel, Gauge>,
    oldest_window: Gauge,
    pub(crate) waits: Counter,
    pub(crate) collected: Counter,
    unnamed: Counter,
    deleted_objects: Counter,
    deleted_bytes: Counter,
    pub(crate) expired: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct OutcomeLabel {
    outcome: &'static str,
}

label_set!(OutcomeLabel: outcome);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct WriterLabel {
    writer: String,
}

label_set!(WriterLabel: writer);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LevelLabel {
    level: &'static str,
}

label_set!(LevelLabel: level);

impl Metrics {
    /// Adds the metrics to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.with_prefix("duramen_compact");

        registry.register("jobs", "Merges by what became of them", self.jobs.clone());
        registry.register(
            "bytes_in",
            "Bytes of blocks that merges have replaced",
            self.bytes_in.clone(),
        );
        registry.register(
            "bytes_out",
            "Bytes of blocks that merges have made",
            self.bytes_out.clone(),
        );
        registry.register(
            "samples",
            "Samples in blocks that merges have made",
            self.samples.clone(),
        );
        registry.register(
            "conflicts",
            "Samples that lost against another value of an earlier order, counted once, by the writer that sent them",
            self.conflicts.clone(),
        );
        registry.register(
            "backlog_blocks",
            "Blocks that wait for a merge",
            self.backlog_blocks.clone(),
        );
        registry.register(
            "backlog_bytes",
            "Bytes of the blocks that wait for a merge",
            self.backlog_bytes.clone(),
        );
        registry.register(
            "oldest_window_age_seconds",
            "How long ago the oldest window ended whose blocks wait for a merge",
            self.oldest_window.clone(),
        );
        registry.register(
            "waits",
            "Rounds of a tenant that were put off because queries needed the memory",
            self.waits.clone(),
        );
        registry.register(
            "collected_blocks",
            "Replaced and expired blocks whose objects were deleted",
            self.collected.clone(),
        );
        registry.register(
            "unnamed_blocks",
            "Blocks that no manifest has named whose objects were deleted",
            self.unnamed.clone(),
        );
        registry.register(
            "cleaned_objects",
            "Objects that cycles of the collector have deleted",
            self.deleted_objects.clone(),
        );
        registry.register(
            "cleaned_bytes",
            "Bytes of objects that cycles of the collector have deleted",
            self.deleted_bytes.clone(),
        );
        registry.register(
            "expired_blocks",
            "Blocks that were removed because all of their samples were beyond their retention",
            self.expired.clone(),
        );
    }

    pub(crate) fn note_collected(&self, collected: &Collected) {
        self.collected.inc_by(collected.replaced_blocks);
        self.unnamed.inc_by(collected.unnamed_blocks);
        self.deleted_objects.inc_by(collected.objects);
        self.deleted_bytes.inc_by(collected.bytes);
    }

    pub(crate) fn note(&self, summary: &Summary) {
        let outcomes = [
            ("done", summary.done),
            ("lost", summary.lost),
            ("failed", summary.failed.len() as u64),
        ];

        for (outcome, count) in outcomes {
            let label = OutcomeLabel { outcome };
            self.jobs.get_or_create(&label).inc_by(count);
        }

        self.bytes_in.inc_by(summary.bytes_in);
        self.bytes_out.inc_by(summary.bytes_out);
        self.samples.inc_by(summary.samples_out);

        for (writer, lost) in &summary.conflicts {
            let writer = writer.to_string();
            self.conflicts
                .get_or_create(&WriterLabel { writer })
                .inc_by(*lost);
        }
    }
}

/// What waits for a merge, over all tenants.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    levels: BTreeMap<Level, (u64, u64)>,
    oldest_end_ms: Option<i64>,
}

impl Backlog {
    pub(crate) fn add(&mut self, jobs: &[Job]) {
        for job in jobs {
            let level = self.levels.entry(job.level).or_default();
            level.0 += job.inputs.len() as u64;
            level.1 = level.1.saturating_add(job.bytes());

            let end_ms = job.window.end_ms();
            self.oldest_end_ms = Some(
                self.oldest_end_ms
                    .map_or(end_ms, |oldest| oldest.min(end_ms)),
            );
        }
    }

    pub(crate) fn show(&self, metrics: &Metrics, now_ms: i64) {
        for level in Level::ALL {
            let (blocks, bytes) = self.levels.get(&level).copied().unwrap_or_default();
            let label = LevelLabel {
                level: level.name(),
            };
            let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);

            metrics
                .backlog_blocks
                .get_or_create(&label)
                .set(whole(blocks));
            metrics
                .backlog_bytes
                .get_or_create(&label)
                .set(whole(bytes));
        }

        let age_ms = self
            .oldest_end_ms
            .map_or(0, |end_ms| now_ms.saturating_sub(end_ms));
        metrics.oldest_window.set(age_ms.max(0) / 1000);
    }
}
