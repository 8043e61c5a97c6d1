//! The limits of an engine's queries, and the features of the language.

use crate::engine::context::QueryLimits;
use crate::name_removal::{NameLabels, NameRemoval, RemovalTime};

/// The limits of queries. They apply to each query separately.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// How far back an instant vector looks for a sample.
    pub lookback_ms: i64,
    /// The number of tasks that evaluate the series of one selector. Answers do not depend on it.
    pub partitions: usize,
    /// The maximum number of samples that a query holds at the same time.
    pub samples_max: usize,
    /// The maximum memory for the vectors that a query holds at the same time.
    pub memory_bytes_max: usize,
    pub features: Features,
}

/// The features that Prometheus has behind feature flags. All are off by default, as in Prometheus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// `rate`, `increase`, `irate` and `resets` use the start times of counters, and
    /// `start_timestamp` returns them (`use-start-timestamps`).
    pub start_timestamps: bool,
    /// The metric name is kept until the end of a query, even if a function or an operator drops
    /// it. So `label_replace` and `label_join` can still use it (`promql-delayed-name-removal`).
    pub delayed_name_removal: bool,
    /// `__type__` and `__unit__` are part of a metric's name and are dropped with it. `rate` and
    /// `increase` use the type to decide whether to annotate a metric that is not a counter
    /// (`type-and-unit-labels`).
    pub type_and_unit_labels: bool,
}

impl Features {
    pub(super) fn names(self) -> NameRemoval {
        NameRemoval {
            labels: if self.type_and_unit_labels {
                NameLabels::NameTypeAndUnit
            } else {
                NameLabels::Name
            },
            time: if self.delayed_name_removal {
                RemovalTime::AtTheEnd
            } else {
                RemovalTime::AtOnce
            },
        }
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            lookback_ms: 300_000,
            partitions: 2,
            samples_max: 50_000_000,
            memory_bytes_max: 1 << 30,
            features: Features::default(),
        }
    }
}

impl EngineConfig {
    /// Returns this configuration with the limits that `limits` sets.
    pub(super) fn limited(&self, limits: &QueryLimits) -> Self {
        Self {
            samples_max: limits.samples_max.unwrap_or(self.samples_max),
            memory_bytes_max: limits.memory_bytes_max.unwrap_or(self.memory_bytes_max),
            ..self.clone()
        }
    }

    /// Returns the maximum number of steps of a grid. A few rows of so many steps fit in the
    /// memory, and one row fits in an Arrow list.
    pub(super) fn steps_max(&self) -> usize {
        const ROWS: usize = 8;

        let rows_fit = self.memory_bytes_max / (ROWS * size_of::<f64>());
        self.samples_max.min(rows_fit).min(1 << 30)
    }
}
