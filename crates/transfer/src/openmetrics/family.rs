//! Which family a metric name belongs to. Pure.

use std::collections::{HashMap, HashSet};

use duramen_model::{FamilyMetadata, MetricType};

/// The suffixes that the names of a family may have, by its type.
const SUFFIXES: [(&str, &[MetricType]); 8] = [
    ("_total", &[MetricType::Counter]),
    (
        "_created",
        &[
            MetricType::Counter,
            MetricType::Histogram,
            MetricType::Summary,
        ],
    ),
    (
        "_bucket",
        &[MetricType::Histogram, MetricType::GaugeHistogram],
    ),
    ("_count", &[MetricType::Histogram, MetricType::Summary]),
    ("_sum", &[MetricType::Histogram, MetricType::Summary]),
    ("_gcount", &[MetricType::GaugeHistogram]),
    ("_gsum", &[MetricType::GaugeHistogram]),
    ("_info", &[MetricType::Info]),
];

/// The metadata of an export, and which families were told.
#[derive(Debug, Default)]
pub(super) struct Families {
    by_name: HashMap<String, FamilyMetadata>,
    told: HashSet<String>,
}

/// What stands before the first sample of a family.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) name: String,
    pub(super) kind: MetricType,
    pub(super) help: String,
    /// Empty unless the name ends with it, as the form wants.
    pub(super) unit: String,
}

impl Families {
    pub(super) fn new(families: Vec<FamilyMetadata>) -> Self {
        let by_name = families.into_iter();
        let by_name = by_name.map(|family| (family.family.clone(), family));

        Self {
            by_name: by_name.collect(),
            told: HashSet::new(),
        }
    }

    /// Returns the family of a metric name, when its first name comes.
    pub(super) fn first(&mut self, metric: &str) -> Option<Told> {
        let (name, family) = self.find(metric)?;
        let kind = kind_in_form(family.kind, &name, metric);
        let fits = |unit: &str| {
            name.strip_suffix(unit)
                .is_some_and(|rest| rest.ends_with('_'))
        };

        let told = Told {
            kind,
            help: family.help.clone(),
            unit: Some(&family.unit)
                .filter(|unit| fits(unit))
                .cloned()
                .unwrap_or_default(),
            name,
        };

        self.told.insert(told.name.clone()).then_some(told)
    }

    /// Returns the family, with its name in the form: that of a counter has no `_total`.
    fn find(&self, metric: &str) -> Option<(String, &FamilyMetadata)> {
        for (suffix, kinds) in SUFFIXES {
            let Some(base) = metric.strip_suffix(suffix) else {
                continue;
            };

            if let Some(family) = self.by_name.get(base)
                && kinds.contains(&family.kind)
            {
                return Some((base.to_owned(), family));
            }
        }

        let family = self.by_name.get(metric)?;
        let suffix = match family.kind {
            MetricType::Counter => "_total",
            MetricType::Info => "_info",
            _ => "",
        };

        let name = metric.strip_suffix(suffix).filter(|name| !name.is_empty());
        Some((name.unwrap_or(metric).to_owned(), family))
    }
}

/// A counter whose name does not end in `_total` is no counter of the form; so for `_info`.
fn kind_in_form(kind: MetricType, family: &str, metric: &str) -> MetricType {
    match kind {
        MetricType::Counter | MetricType::Info if family == metric => MetricType::Unknown,
        kind => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families() -> Families {
        let family = |name: &str, kind, unit: &str| FamilyMetadata {
            family: name.to_owned(),
            kind,
            help: "h".to_owned(),
            unit: unit.to_owned(),
            last_seen_ms: 0,
        };

        Families::new(vec![
            family("old_total", MetricType::Counter, ""),
            family("plain", MetricType::Counter, ""),
            family("requests", MetricType::Counter, ""),
            family("wait_seconds", MetricType::Histogram, "seconds"),
            family("up", MetricType::Gauge, "bytes"),
        ])
    }

    #[test]
    fn each_family_is_told_once_with_a_name_that_the_form_has() {
        let mut families = families();
        let mut told = |metric: &str| {
            let told = families.first(metric)?;
            Some((told.name, told.kind, told.unit))
        };

        let some = |name: &str, kind, unit: &str| Some((name.to_owned(), kind, unit.to_owned()));
        assert_eq!(told("old_total"), some("old", MetricType::Counter, ""));
        assert_eq!(told("plain"), some("plain", MetricType::Unknown, ""));
        assert_eq!(
            told("requests_total"),
            some("requests", MetricType::Counter, "")
        );
        assert_eq!(
            told("wait_seconds_bucket"),
            some("wait_seconds", MetricType::Histogram, "seconds")
        );
        assert_eq!(told("wait_seconds_sum"), None);
        assert_eq!(told("up"), some("up", MetricType::Gauge, ""));
        assert_eq!(told("nobody"), None);
    }
}
