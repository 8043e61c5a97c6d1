//! What the queries of an engine may use, and how they read the language.

use crate::engine::context::QueryLimits;
use crate::name_removal::{NameLabels, NameRemoval, RemovalTime};

/// What queries may use. It holds for each query by itself.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// How far back an instant vector looks for a sample.
    pub lookback_ms: i64,
    /// How many tasks evaluate the series of one selector. The answer does not depend on it.
    pub partitions: usize,
    /// The most samples that a query holds at once.
    pub samples_max: usize,
    /// The most memory for the vectors that a query holds at once.
    pub memory_bytes_max: usize,
    pub features: Features,
}

/// What Prometheus has behind feature flags, all off as there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// `rate`, `increase`, `irate` and `resets` look at the times at which counters began, and
    /// `start_timestamp` knows them (`use-start-timestamps`).
    pub start_timestamps: bool,
    /// The name of a metric is there until the end of a query, also where a function or an operator
    /// takes it away, and `label_replace` and `label_join` can save it
    /// (`promql-delayed-name-removal`).
    pub delayed_name_removal: bool,
    /// `__type__` and `__unit__` are part of a metric's name: they go where it goes, and `rate` and
    /// `increase` go by the type when they annotate what is no counter (`type-and-unit-labels`).
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
    /// This configuration with what a query may use.
    pub(super) fn limited(&self, limits: &QueryLimits) -> Self {
        Self {
            samples_max: limits.samples_max.unwrap_or(self.samples_max),
            memory_bytes_max: limits.memory_bytes_max.unwrap_or(self.memory_bytes_max),
            ..self.clone()
        }
    }

    /// The most steps of a grid: a few rows of it fit the memory, and its width an Arrow list.
    pub(super) fn steps_max(&self) -> usize {
        const ROWS: usize = 8;

        let rows_fit = self.memory_bytes_max / (ROWS * size_of::<f64>());
        self.samples_max.min(rows_fit).min(1 << 30)
    }
}
