//! Metadata of metric families: type, help and unit.

/// The type of a metric family, as in the exposition formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MetricType {
    #[default]
    Unknown,
    Counter,
    Gauge,
    Histogram,
    GaugeHistogram,
    Summary,
    Info,
    StateSet,
}

impl MetricType {
    /// All types in the order of their numbers on the wire.
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Counter,
        Self::Gauge,
        Self::Histogram,
        Self::GaugeHistogram,
        Self::Summary,
        Self::Info,
        Self::StateSet,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The number on the wire, the same in both versions of remote write.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The type of a number on the wire. Any other number becomes `Unknown`, because newer senders
    /// may know more types.
    pub fn numbered(number: u64) -> Self {
        usize::try_from(number)
            .ok()
            .and_then(|at| Self::ALL.get(at))
            .copied()
            .unwrap_or_default()
    }
}

/// The metadata that senders gave for one metric family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyMetadata {
    /// The name of the family, without the suffixes `_bucket`, `_count` and `_sum` of its series.
    pub family: String,
    pub kind: MetricType,
    pub help: String,
    pub unit: String,
    /// When it was last received, by our clock. If two entries differ, the newer one is shown.
    pub last_seen_ms: i64,
}
